// The pure half of base_backup.h: words, messages, details.
#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/capture/base_backup.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

constexpr std::int64_t kLeastRateKib = 32, kMostRateKib = 1 << 20;  // the server's own bounds

}  // namespace

bool is_base_backup(const repository::Backup& backup) { return backup.kind == kBaseKind && backup.store == "postgres"; }

std::vector<engine::CommandOption> base_backup_options() {
    return {{"checkpoint",
             "fast|spread",
             "Begin at once (the default), or wait for a gentle checkpoint",
             {"fast", "spread"}},
            {"max-rate", "KIB", "At most so many KiB a second (32 to 1048576)", {}},
            {"manifest-checksums",
             "KIND",
             "How the server proves its files: CRC32C (the default) or SHA256",
             {"CRC32C", "SHA256"}},
            {"label", "TEXT", "What the server's log and backup_label call it", {}}};
}

Result<BaseBackupOptions> read_base_backup_options(const engine::OptionValues& values) {
    BaseBackupOptions options;
    options.fast_checkpoint = engine::option_word(values, "checkpoint") != "spread";
    if (const std::string rate = engine::option_word(values, "max-rate"); !rate.empty()) {
        const auto kib = to_integer(rate);
        if (!kib || *kib < kLeastRateKib || *kib > kMostRateKib) {
            return make_error(ErrorCode::kUsage, fmt::format("'{}' is no rate", one_line(rate)),
                              "Give KiB per second, 32 to 1048576.");
        }
        options.max_rate_kib = static_cast<std::uint64_t>(*kib);
    }
    if (const std::string kind = engine::option_word(values, "manifest-checksums"); !kind.empty()) {
        options.checksums = checksum_from_name(kind).value_or(ChecksumKind::kCrc32c);
    }
    if (const std::string label = engine::option_word(values, "label"); !label.empty()) options.label = label;
    if (options.label.size() > 1024 || options.label.find_first_of("\n\r") != std::string::npos) {
        return make_error(ErrorCode::kUsage, "a label is one line of at most 1024 bytes");
    }
    return options;
}

// WAIT is false: the WAL comes with the backup, so its archiving need not be waited for. No TABLESPACE_MAP: the archive
// then has pg_tblspc's links, and a restore makes its own.
std::string base_backup_command(const BaseBackupOptions& options) {
    std::string rate;
    if (options.max_rate_kib > 0) rate = fmt::format(", MAX_RATE {}", options.max_rate_kib);
    return fmt::format(
        "BASE_BACKUP (LABEL {}, PROGRESS true, CHECKPOINT '{}', WAL true, WAIT false, MANIFEST 'yes', "
        "MANIFEST_CHECKSUMS '{}'{})",
        env::replication_literal(options.label), options.fast_checkpoint ? "fast" : "spread",
        checksum_name(options.checksums), rate);
}

Result<BaseBackupMessage> parse_base_backup_message(std::string_view message) {
    using Kind = BaseBackupMessage::Kind;
    const auto bad = [] {
        return make_error(ErrorCode::kProtocol, "the server sent a message that BASE_BACKUP does not have");
    };
    if (message.empty()) return bad();
    BaseBackupMessage parsed;
    const std::string_view rest = message.substr(1);
    switch (message.front()) {
        case 'd': parsed.data = rest; return parsed;
        case 'm': parsed.kind = Kind::kManifest; return rest.empty() ? Result<BaseBackupMessage>(parsed) : bad();
        case 'p': parsed.kind = Kind::kProgress; return rest.size() == 8 ? Result<BaseBackupMessage>(parsed) : bad();
        case 'n': {
            const std::size_t end = rest.find('\0');
            if (end == std::string_view::npos || rest.back() != '\0' || rest.find('\0', end + 1) != rest.size() - 1)
                return bad();
            parsed.kind = Kind::kArchive;
            parsed.archive = rest.substr(0, end);
            parsed.location = rest.substr(end + 1, rest.size() - end - 2);
            return parsed;
        }
        default: return bad();
    }
}

Json details_json(const BaseBackupDetails& details) {
    Json tablespaces = Json::array();
    for (const Tablespace& one : details.tablespaces)
        tablespaces.push_back(Json{{"oid", one.oid}, {"location", one.location}});
    return Json{{"system_identifier", details.system_identifier},
                {"timeline", details.timeline},
                {"start_lsn", format_lsn(details.from)},
                {"stop_lsn", format_lsn(details.to)},
                {"from_replica", details.from_replica},
                {"damaged_pages", details.damaged_pages},
                {"tablespaces", tablespaces},
                {"host", host_needs_json(details.host)},
                {"clocks_ahead", details.clocks_ahead}};
}

Result<BaseBackupDetails> read_details(const Json& json) {
    const auto bad = [] {
        return make_error(ErrorCode::kCorrupt, "the backup's entry does not say what a base backup says");
    };
    BaseBackupDetails details;
    details.system_identifier = find_string(json, "system_identifier").value_or("");
    const auto timeline = find_integer(json, "timeline");
    const auto from = parse_lsn(find_string(json, "start_lsn").value_or("")),
               to = parse_lsn(find_string(json, "stop_lsn").value_or(""));
    const Json* tablespaces = find_member(json, "tablespaces");
    if (!timeline || *timeline < 1 || *timeline > UINT32_MAX || !from || !to || tablespaces == nullptr ||
        !tablespaces->is_array()) {
        return bad();
    }
    details.timeline = static_cast<std::uint32_t>(*timeline);
    details.from = *from;
    details.to = *to;
    details.from_replica = find_boolean(json, "from_replica").value_or(false);
    details.damaged_pages = static_cast<std::uint64_t>(find_integer(json, "damaged_pages").value_or(0));
    for (const Json& one : *tablespaces) {
        const auto oid = find_integer(one, "oid");
        const auto location = find_string(one, "location");
        if (!oid || *oid < 1 || *oid > UINT32_MAX || !location) return bad();
        details.tablespaces.push_back({static_cast<std::uint32_t>(*oid), *location});
    }
    if (const Json* host = find_member(json, "host")) details.host = read_host_needs(*host);
    if (const Json* clocks = find_member(json, "clocks_ahead"); clocks != nullptr && clocks->is_object()) {
        for (const auto& [node, seconds] : clocks->items()) {
            if (seconds.is_number()) details.clocks_ahead[node] = seconds.get<double>();
        }
    }
    return details;
}

}  // namespace aeterna::postgres
