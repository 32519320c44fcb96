// The text of pgBackRest's verify, of pgbackrest_output.h.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/engines/pgbackrest_output.h"

namespace aeterna::postgres {
namespace {

// "  backup: LABEL, status: valid, total files checked: 964, total valid files: 964" → what stands behind `key`.
std::string_view value_of(std::string_view line, std::string_view key) {
    const std::size_t at = line.find(key);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = line.substr(at + key.size());
    return trim(rest.substr(0, rest.find(',')));
}

// Reads verify's lines in turn.
class VerifyReader {
  public:
    VerifyReader(const std::string& stanza, engine::EngineCheck& check) : stanza_(stanza), check_(check) {}

    void see(std::string_view line) {
        const std::string_view text = trim(line);
        if (text.empty()) return;
        if (text.starts_with("stanza: ")) return expect(value_of(text, "stanza: ") == stanza_, text);
        if (text.starts_with("status: ")) return see_status(text);
        if (text.starts_with("archiveId: ")) return see_archive(text);
        if (text.starts_with("backup: ")) return see_backup(text);
        if (text.starts_with("missing: ")) return see_counts(text);
        if (text == "no archives or backups exist in the repo") return;  // a second repository, before its first backup
        if (text.starts_with("No usable ")) return problem(std::string(text));
        expect(false, text);
    }

    void finish(const std::vector<std::string>& expected) {
        if (status_.empty()) check_.not_verified.emplace_back("verify gave no status");
        if (status_ == "error" && problems_ == 0) problem("verify found an error and does not say which");
        for (const std::string& id : expected) {
            if (std::find(seen_.begin(), seen_.end(), id) == seen_.end()) check_.not_verified.push_back("backup " + id);
        }
    }

  private:
    void problem(const std::string& text) {
        ++problems_;
        check_.problems.push_back(text);
    }
    void expect(bool is_good, std::string_view text) {
        if (!is_good) check_.not_verified.push_back(fmt::format("verify said '{}'", one_line(text)));
    }
    void see_status(std::string_view text) {
        status_ = value_of(text, "status: ");
        expect(status_ == "ok" || status_ == "error", text);
    }
    void see_archive(std::string_view text) {
        subject_ = fmt::format("archive {}", value_of(text, "archiveId: "));
        const auto checked = to_integer(value_of(text, "total WAL checked: ")),
                   valid = to_integer(value_of(text, "total valid WAL: "));
        if (!checked || !valid) return expect(false, text);
        if (*checked != *valid)
            problem(fmt::format("{}: {} of {} WAL segments are damaged", subject_, *checked - *valid, *checked));
    }
    void see_backup(std::string_view text) {
        const std::string id(value_of(text, "backup: "));
        subject_ = "backup " + id;
        seen_.push_back(id);
        const auto checked = to_integer(value_of(text, "total files checked: ")),
                   valid = to_integer(value_of(text, "total valid files: "));
        const std::string_view status = value_of(text, "status: ");
        if (!checked || !valid || status.empty()) return expect(false, text);
        if (status == "valid" && *checked == *valid && *checked > 0) return;
        if (status == "in-progress") return check_.not_verified.push_back(subject_ + ", which is being taken");
        problem(fmt::format("{} is {}: {} of {} files are good", subject_, status, *valid, *checked));
        check_.hit_backups.push_back(id);
    }
    void see_counts(std::string_view text) {
        for (const char* key : {"missing: ", "checksum invalid: ", "size invalid: ", "other: "}) {
            const auto count = to_integer(value_of(text, key));
            if (!count) expect(false, text);
            else if (*count != 0) problem(fmt::format("{}: {}{}", subject_, key, *count));
        }
    }

    const std::string& stanza_;
    engine::EngineCheck& check_;
    std::string status_, subject_;
    std::vector<std::string> seen_;
    std::uint64_t problems_ = 0;
};

}  // namespace

void read_pgbackrest_verify(std::string_view text, const std::string& stanza, const std::vector<std::string>& expected,
                            engine::EngineCheck& check) {
    VerifyReader reader(stanza, check);
    for (const std::string_view line : split(text, '\n')) reader.see(line);
    reader.finish(expected);
}

}  // namespace aeterna::postgres
