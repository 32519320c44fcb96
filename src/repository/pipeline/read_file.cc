#include "repository/pipeline/read_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "repository/pipeline/restore_segment.h"

namespace aeterna::repository {
namespace {

// A file that is one text.
class TextTarget final : public env::TargetFile {
  public:
    explicit TextTarget(std::string& text) : text_(text) {}
    Status write_at(std::uint64_t offset, std::span<const char> bytes) override {
        AETERNA_TRY(check(offset, bytes.size()));
        std::copy(bytes.begin(), bytes.end(), text_.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
        const std::size_t got = std::min<std::uint64_t>(into.size(), text_.size() - std::min<std::uint64_t>(offset, text_.size()));
        std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(offset), got, into.begin());
        return got;
    }
    Status resize(std::uint64_t size) override {
        text_.resize(size);
        return {};
    }
    Status punch_hole(std::uint64_t offset, std::uint64_t bytes) override {
        AETERNA_TRY(check(offset, bytes));
        std::fill_n(text_.begin() + static_cast<std::ptrdiff_t>(offset), bytes, '\0');
        return {};
    }
    Status set_attributes(const env::NodeInfo&) override { return {}; }
    void start_writeback(std::uint64_t, std::uint64_t) override {}

  private:
    [[nodiscard]] Status check(std::uint64_t offset, std::uint64_t bytes) const {
        if (offset <= text_.size() && bytes <= text_.size() - offset) return {};
        return make_error(ErrorCode::kCorrupt, "a file map points past the end of its segment");
    }
    std::string& text_;
};

}  // namespace

Result<std::unique_ptr<FileStream>> FileStream::open(Repository& repository, const Backup& backup,
                                                     const std::string& path, const env::Context& context) {
    std::unique_ptr<FileStream> stream(new FileStream(repository, context));
    AETERNA_ASSIGN(stream->record_, find_record(stream->reader_, backup, path));
    if (stream->record_.info.type == env::NodeType::kFile) return stream;
    return make_error(ErrorCode::kUsage, fmt::format("'{}' is no file", path));
}

Result<Bytes> FileStream::next(std::size_t limit_bytes) {
    if (used_ == segment_.size() && next_segment_ < record_.segments.size()) {
        const std::uint64_t offset = next_segment_ * kSegmentBytes;
        segment_.assign(std::min(kSegmentBytes, record_.info.size - offset), '\0');
        used_ = 0;
        TextTarget target(segment_);
        AETERNA_TRY(SegmentWriter(reader_).write(record_.segments[next_segment_], {&target, record_.kind, 0, true}));
        ++next_segment_;
    }
    const Bytes part = bytes_of(segment_).subspan(used_, std::min(limit_bytes, segment_.size() - used_));
    used_ += part.size();
    return part;
}

}  // namespace aeterna::repository
