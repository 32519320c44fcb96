#include "postgres/capture/tar_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "repository/chunk/content_kind.h"

namespace aeterna::postgres {
namespace {

// The fields of a ustar header (POSIX.1-2017, pax, "ustar Interchange Format").
struct Field {
    std::size_t offset, bytes;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12}, kSum{148, 8},
    kTarget{157, 100}, kMagic{257, 5}, kPrefix{345, 155};
constexpr std::size_t kTypeOffset = 156;
constexpr std::size_t kMostNameBytes = 1 << 16;
constexpr std::uint64_t kMostFileBytes = 1ULL << 62;

Error bad_archive(const std::string& why) {
    return make_error(ErrorCode::kProtocol, fmt::format("the server's archive is damaged: {}", why));
}

std::string_view field(std::string_view block, Field place) { return block.substr(place.offset, place.bytes); }

std::string text(std::string_view block, Field place) {
    const std::string_view bytes = field(block, place);
    return std::string(bytes.substr(0, bytes.find('\0')));
}

// Octal digits between spaces and zeros, or base 256 where the first bit is set.
std::optional<std::uint64_t> number(std::string_view block, Field place) {
    std::string_view bytes = field(block, place);
    std::uint64_t value = 0;
    if ((static_cast<unsigned char>(bytes.front()) & 0x80) != 0) {
        if (static_cast<unsigned char>(bytes.front()) != 0x80) return std::nullopt;  // negative, or beyond 2^88
        for (const char c : bytes.substr(1)) {
            if (value >> 56 != 0) return std::nullopt;
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return value;
    }
    while (!bytes.empty() && bytes.front() == ' ') bytes.remove_prefix(1);
    while (!bytes.empty() && (bytes.back() == ' ' || bytes.back() == '\0')) bytes.remove_suffix(1);
    for (const char c : bytes) {
        if (c < '0' || c > '7') return std::nullopt;
        value = value << 3 | static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

std::uint64_t checksum_of(std::string_view block) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const bool is_sum = i >= kSum.offset && i < kSum.offset + kSum.bytes;
        sum += is_sum ? static_cast<unsigned char>(' ') : static_cast<unsigned char>(block[i]);
    }
    return sum;
}

std::string tidy(std::string path) {
    while (path.rfind("./", 0) == 0) path.erase(0, 2);
    while (!path.empty() && path.back() == '/') path.pop_back();
    return path == "." ? "" : path;
}

std::size_t padding_of(std::uint64_t bytes) {
    return static_cast<std::size_t>((kTarBlockBytes - bytes % kTarBlockBytes) % kTarBlockBytes);
}

}  // namespace

Status TarReader::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        if (state_ == State::kHeader || state_ == State::kEnd) {
            if (block_.empty() && bytes.size() >= kTarBlockBytes) {
                AETERNA_TRY(take_header(bytes.substr(0, kTarBlockBytes)));
                bytes.remove_prefix(kTarBlockBytes);
                continue;
            }
            const std::size_t part = std::min(bytes.size(), kTarBlockBytes - block_.size());
            block_.append(bytes.substr(0, part));
            bytes.remove_prefix(part);
            if (block_.size() < kTarBlockBytes) continue;
            const std::string block = std::exchange(block_, {});
            AETERNA_TRY(take_header(block));
        } else if (state_ == State::kPadding) {
            const std::size_t part = std::min(bytes.size(), padding_);
            bytes.remove_prefix(part);
            padding_ -= part;
            if (padding_ == 0) state_ = State::kHeader;
        } else {
            const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
            if (state_ == State::kName) name_.append(bytes.substr(0, part));
            else AETERNA_TRY(sink_.content(bytes.substr(0, part)));
            bytes.remove_prefix(part);
            left_ -= part;
            if (left_ == 0) AETERNA_TRY(end_content());
        }
    }
    return {};
}

Status TarReader::end_content() {
    if (state_ == State::kName) {
        std::string name = std::exchange(name_, {});
        name.resize(std::min(name.find('\0'), name.size()));
        (name_type_ == 'L' ? long_path_ : long_target_) = std::move(name);
    } else {
        AETERNA_TRY(sink_.end_file());
    }
    state_ = padding_ > 0 ? State::kPadding : State::kHeader;
    return {};
}

Status TarReader::take_header(std::string_view block) {
    if (repository::is_zero(repository::bytes_of(block))) {
        if (++zero_blocks_ >= 2) state_ = State::kEnd;
        return {};
    }
    if (zero_blocks_ > 0) return bad_archive("something follows its end");
    const auto sum = number(block, kSum);
    if (!sum || *sum != checksum_of(block)) return bad_archive("a header's checksum is wrong");
    if (field(block, kMagic) != "ustar") return bad_archive("a header is not ustar's");
    const auto bytes = number(block, kSize), mode = number(block, kMode), uid = number(block, kUid),
               gid = number(block, kGid), time = number(block, kTime);
    if (!bytes || !mode || !uid || !gid || !time || *bytes > kMostFileBytes) {
        return bad_archive("a header has an impossible number");
    }
    const char type = block[kTypeOffset];
    if (type == 'L' || type == 'K') {
        if (*bytes == 0 || *bytes > kMostNameBytes) return bad_archive("a name has an impossible length");
        name_type_ = type;
        left_ = *bytes;
        padding_ = padding_of(left_);
        state_ = State::kName;
        return {};
    }
    TarEntry entry;
    const std::string prefix = text(block, kPrefix), name = text(block, kName);
    entry.path = tidy(!long_path_.empty() ? std::exchange(long_path_, {})
                      : prefix.empty()    ? name
                                          : prefix + "/" + name);
    entry.target = !long_target_.empty() ? std::exchange(long_target_, {}) : text(block, kTarget);
    entry.mode = static_cast<std::uint32_t>(*mode & 07777);
    entry.uid = static_cast<std::uint32_t>(*uid);
    entry.gid = static_cast<std::uint32_t>(*gid);
    entry.modified_at = static_cast<std::int64_t>(*time);
    switch (type) {
        case '0':
        case '\0':
            entry.bytes = *bytes;
            entry.target.clear();
            break;
        case '2': entry.type = TarEntry::Type::kLink; break;
        case '5': entry.type = TarEntry::Type::kDirectory; break;
        default: return bad_archive(fmt::format("'{}' is of a kind that does not belong there", one_line(entry.path)));
    }
    return begin_entry(std::move(entry));
}

Status TarReader::begin_entry(TarEntry entry) {
    if (entry.path.empty() && entry.type != TarEntry::Type::kDirectory) return bad_archive("an entry has no name");
    AETERNA_TRY(sink_.begin(entry));
    if (entry.type != TarEntry::Type::kFile) return {};
    left_ = entry.bytes;
    padding_ = padding_of(left_);
    state_ = State::kContent;
    return left_ == 0 ? end_content() : Status();
}

Status TarReader::finish() const {
    return state_ == State::kEnd && block_.empty() ? Status() : Status(bad_archive("it ends too early"));
}

}  // namespace aeterna::postgres
