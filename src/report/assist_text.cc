#include "report/assist_text.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "base/time.h"

namespace aeterna::report {
namespace {

std::vector<std::string> texts(const Json& object, std::string_view key) {
    std::vector<std::string> found = find_strings(object, key);
    for (std::string& text : found) text = one_line(text, 500);
    return found;
}

std::string acted(const Json& assist, const std::string& since) {
    std::string text = "the assist acted";
    if (const auto at = find_number(assist, "acted_at_seconds")) text += fmt::format(" {} after {}", format_duration(*at), since);
    if (const auto who = find_string(assist, "approved_by")) text += fmt::format(", approved by {}", one_line(*who, 80));
    const auto saved = find_number(assist, "saved_seconds");
    if (!saved) return text;
    const std::string of = find_string(assist, "saved_of") == "lease" ? "the leader's lease" : "Sentinel's down-after";
    return text + fmt::format(": {} of {} were left, which nobody had to wait for", format_duration(*saved), of);
}

std::string salvaged(const Json& found) {
    std::string text = "salvaged what only the old primary had";
    if (const auto files = find_integer(found, "files")) text += fmt::format(": {} files", *files);
    if (const auto bytes = find_integer(found, "bytes")) text += fmt::format(", {} bytes", *bytes);
    if (const auto directory = find_string(found, "directory")) text += fmt::format(", in {}", *directory);
    if (const auto summary = find_string(found, "summary"); summary && !summary->empty()) {
        text += fmt::format(" ({})", one_line(*summary, 500));
    }
    if (const auto lost = find_integer(found, "lost_writes")) text += fmt::format("; {} writes are only there", *lost);
    return text;
}

}  // namespace

std::vector<std::string> assist_lines(const Json& assist, const std::string& since) {
    std::vector<std::string> lines;
    const std::string outcome = find_string(assist, "outcome").value_or("");
    if (outcome == "acted") lines.push_back(acted(assist, since));
    if (outcome == "not_needed") lines.emplace_back("the assist was not needed: a new primary was there before");
    if (outcome == "proposed") {
        lines.push_back(fmt::format("the assist proposed to act, and nobody said yes: {}", join(texts(assist, "reasons"), "; ")));
    }
    if (outcome == "refused") {
        const std::string why = join(texts(assist, "reasons"), "; ");
        lines.push_back(fmt::format("the assist refused: {}", why.empty() ? "it did not say why" : why));
    }
    const Json* found = find_member(assist, "salvaged");
    if (found != nullptr && found->is_object()) lines.push_back(salvaged(*found));
    const auto fenced = texts(assist, "fenced");
    if (!fenced.empty()) lines.push_back(fmt::format("still held fenced by it: {}", join(fenced, ", ")));
    return lines;
}

}  // namespace aeterna::report
