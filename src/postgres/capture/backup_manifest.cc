#include "postgres/capture/backup_manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/strings.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

Error bad_manifest(const std::string& why) {
    return make_error(ErrorCode::kProtocol, fmt::format("the server's backup manifest is damaged: {}", why));
}

std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        int value = 0;
        for (const char c : hex.substr(i, 2)) {
            const std::size_t digit = std::string_view("0123456789abcdef").find(c);
            if (digit == std::string_view::npos) return std::nullopt;
            value = value * 16 + static_cast<int>(digit);
        }
        bytes.push_back(static_cast<char>(value));
    }
    return bytes;
}

// The checksum is over everything before the last line, whose first member it is.
Status check_own_checksum(std::string_view text) {
    constexpr std::string_view kMember = "\"Manifest-Checksum\": \"";
    const std::size_t line = text.rfind("\n" + std::string(kMember));
    if (line == std::string_view::npos) return bad_manifest("it has no checksum");
    const auto sum = from_hex(text.substr(std::min(text.size(), line + 1 + kMember.size()), 64));
    if (!sum || *sum != sha256_of(text.substr(0, line + 1))) return bad_manifest("its own checksum is wrong");
    return {};
}

// Takes the text apart without a tree of it: one file at a time, whatever the number of files.
class ManifestHandler : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit ManifestHandler(const std::function<Status(const ManifestFile&)>& each) : each_(each) {}

    bool null() override { return refuse("a null"); }
    bool boolean(bool) override { return refuse("a boolean"); }
    bool number_float(double, const std::string&) override { return refuse("a fraction"); }
    bool binary(binary_t&) override { return refuse("bytes"); }
    bool number_integer(std::int64_t) override { return refuse("a negative number"); }
    bool number_unsigned(std::uint64_t value) override {
        if (depth_ == 1 && key_ == "PostgreSQL-Backup-Manifest-Version") {
            if (value != 1) return refuse("a version that is not 1");
            has_version_ = true;
        } else if (depth_ == 3 && key_ == "Size") {
            file_.bytes = value;
            has_bytes_ = true;
        } else if (depth_ == 3 && key_ == "Timeline" && value <= UINT32_MAX) {
            range_.timeline = static_cast<std::uint32_t>(value);
        }
        return true;
    }
    bool string(std::string& value) override {
        if (depth_ != 3) return true;
        if (key_ == "Path") file_.path = value;
        else if (key_ == "Encoded-Path") return take_hex(value, file_.path);
        else if (key_ == "Checksum") return take_hex(value, file_.checksum);
        else if (key_ == "Checksum-Algorithm") return take_kind(value);
        else if (key_ == "Start-LSN") return take_lsn(value, range_.from);
        else if (key_ == "End-LSN") return take_lsn(value, range_.to);
        return true;
    }
    bool key(std::string& value) override {
        key_ = value;
        if (depth_ == 1) section_ = value;
        return true;
    }
    bool start_object(std::size_t) override {
        if (++depth_ != 1 && depth_ != 3) return refuse("an object in a strange place");
        file_ = {};
        range_ = {};
        has_bytes_ = false;
        return true;
    }
    bool start_array(std::size_t) override { return ++depth_ == 2 || refuse("a list in a strange place"); }
    bool end_array() override { return --depth_ >= 0; }
    bool end_object() override {
        if (depth_-- != 3) return true;
        if (section_ == "WAL-Ranges") {
            if (range_.timeline == 0 || range_.to < range_.from) return refuse("an impossible range of WAL");
            ranges.push_back(range_);
            return true;
        }
        if (section_ != "Files") return true;
        if (file_.path.empty() || !has_bytes_) return refuse("a file without a path or size");
        if (const Status taken = each_(file_); !taken) {
            error = taken.error();
            return false;
        }
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
        return refuse("what is no JSON");
    }

    [[nodiscard]] bool has_version() const { return has_version_; }
    std::optional<Error> error;
    std::vector<WalRange> ranges;

  private:
    bool refuse(const std::string& what) {
        if (!error) error = bad_manifest("it has " + what);
        return false;
    }
    bool take_hex(const std::string& hex, std::string& into) {
        auto bytes = from_hex(hex);
        if (!bytes) return refuse("a text that is not hex");
        into = std::move(*bytes);
        return true;
    }
    bool take_kind(const std::string& name) {
        const auto kind = checksum_from_name(name);
        if (!kind) return refuse(fmt::format("checksums of the kind '{}'", one_line(name, 20)));
        file_.kind = *kind;
        return true;
    }
    bool take_lsn(const std::string& text, std::uint64_t& into) {
        const auto lsn = parse_lsn(text);
        if (!lsn) return refuse("what is no position in the WAL");
        into = *lsn;
        return true;
    }

    const std::function<Status(const ManifestFile&)>& each_;
    int depth_ = 0;
    std::string key_, section_;
    ManifestFile file_;
    WalRange range_;
    bool has_bytes_ = false, has_version_ = false;
};

Error unlike_manifest(const std::string& path, std::string_view why) {
    return make_error(ErrorCode::kProtocol, fmt::format("'{}' {} its backup manifest", one_line(path), why));
}

}  // namespace

Result<std::vector<WalRange>> read_backup_manifest(std::string_view text,
                                                   const std::function<Status(const ManifestFile&)>& each) {
    AETERNA_TRY(check_own_checksum(text));
    ManifestHandler handler(each);
    const bool is_read = nlohmann::json::sax_parse(text, &handler);
    if (handler.error) return *handler.error;
    if (!is_read || !handler.has_version()) return bad_manifest("it is not complete");
    return std::move(handler.ranges);
}

void ReceivedFiles::add(const std::string& path, std::uint64_t bytes, std::string checksum) {
    files_[path] = {bytes, std::move(checksum)};
}

Result<std::vector<WalRange>> ReceivedFiles::verify(std::string_view manifest) {
    AETERNA_ASSIGN(auto ranges, read_backup_manifest(manifest, [&](const ManifestFile& announced) -> Status {
                       const auto received = files_.find(announced.path);
                       if (received == files_.end()) return unlike_manifest(announced.path, "did not come, against");
                       if (received->second.bytes != announced.bytes)
                           return unlike_manifest(announced.path, "has not the length of");
                       if (received->second.checksum != announced.checksum) {
                           return unlike_manifest(announced.path, "has not the checksum of");
                       }
                       files_.erase(received);
                       return {};
                   }));
    for (const auto& [path, file] : files_) {
        if (path.rfind("pg_wal/", 0) != 0) return unlike_manifest(path, "came, but is not in");
    }
    if (ranges.empty()) return bad_manifest("it names no WAL");
    return ranges;
}

}  // namespace aeterna::postgres
