#include "report/scorecard_text.h"

#include <fmt/format.h>

#include <string_view>

#include "base/time.h"

namespace aeterna::report {
namespace {

std::string seconds(const Json& object, std::string_view key) {
    const auto value = find_number(object, key);
    return value ? format_duration(from_seconds(*value)) : "unknown";
}

std::string count(const Json& object, std::string_view key) {
    const auto value = find_integer(object, key);
    return value ? fmt::format("{}", *value) : "unknown";
}

std::string colourful(std::string_view text, std::string_view verdict, bool colour) {
    if (!colour) return std::string(text);
    const std::string_view code = verdict == "pass" ? "32" : verdict == "fail" ? "31" : "33";
    return fmt::format("\x1b[1;{}m{}\x1b[0m", code, text);
}

std::string met_word(const Json& object) {
    const auto met = find_boolean(object, "met");
    return met ? (*met ? "met" : "MISSED") : "UNKNOWN";
}

std::string verdict_line(const Json& card, const std::string& stack_name, bool colour) {
    const std::string verdict = find_string(card, "verdict").value_or("unknown");
    std::string upper;
    for (const char c : verdict) upper += static_cast<char>(c - ('a' - 'A'));
    return fmt::format("Drill {}: primary failover by {}    {}\nstack {}   seed {}   {}\n",
                       find_string(card, "drill").value_or("?"), find_string(card, "fault").value_or("?"),
                       colourful(upper, verdict, colour), stack_name, find_integer(card, "seed").value_or(0),
                       find_string(card, "started_at").value_or(""));
}

std::string store_line(const std::string& name, const Json& store) {
    const bool stand_in = find_string(store, "server").value_or("real") != "real";
    return fmt::format("{:<11}{:>11}{:>11}{:>10}{:>9}{:>8}{:>9}  {}{}\n", name, seconds(store, "rto_seconds"),
                       seconds(store, "client_rto_seconds"), seconds(store, "objective_rto_seconds"),
                       find_boolean(store, "faulted").value_or(false) ? seconds(store, "detect_seconds") : "-",
                       count(store, "lost"), seconds(store, "rpo_seconds"), met_word(store),
                       stand_in ? " STAND-IN" : "");
}

std::string writes_line(const std::string& name, const Json& store) {
    std::string line =
        fmt::format("{:<11}{} acknowledged, {} lost ({} before, {} after the fault), {} unknown\n", name,
                    count(store, "acknowledged"), count(store, "lost"), count(store, "lost_before_fault"),
                    count(store, "lost_after_fault"), count(store, "unknown"));
    const Json* notes = find_member(store, "notes");
    if (notes != nullptr && notes->is_array()) {
        for (const Json& note : *notes) {
            if (note.is_string()) line += fmt::format("{:<11}note: {}\n", "", note.get<std::string>());
        }
    }
    return line;
}

std::string phases_text(const Json& card) {
    const Json* phases = find_member(card, "phases");
    if (phases == nullptr || !phases->is_array() || phases->empty()) return "";
    std::string text = "\nSeconds after the injection\n";
    for (const Json& phase : *phases) {
        text += fmt::format("{:<11}{:>9.2f}  {}\n", find_string(phase, "store").value_or(""),
                            find_number(phase, "at_seconds").value_or(0), find_string(phase, "name").value_or(""));
    }
    return text;
}

std::string summary_text(const Json& card) {
    const Json* summary = find_member(card, "summary");
    if (summary == nullptr) return "";
    std::string text = fmt::format(
        "\n{} of {} runs passed: with 95 % confidence at least {:.0f} % of such drills pass\n",
        count(*summary, "passes"), count(*summary, "runs"),
        100 * find_number(*summary, "pass_rate_at_least").value_or(0));
    const Json* stores = find_member(*summary, "stores");
    if (stores == nullptr || !stores->is_object()) return text;
    for (const auto& [name, store] : stores->items()) {
        for (const std::string_view figure : {"rto_seconds", "client_rto_seconds", "detect_seconds"}) {
            const Json* column = find_member(store, figure);
            if (column == nullptr || find_integer(*column, "n").value_or(0) == 0) continue;
            text += fmt::format("{:<11}{:<20} n {:>3}  median {:>8}  max {:>8}\n", name, figure, count(*column, "n"),
                                seconds(*column, "median"), seconds(*column, "max"));
        }
    }
    return text + "(the figures above are those of the worst run)\n";
}

}  // namespace

std::string scorecard_text(const Json& scorecard, const std::string& stack_name, bool colour) {
    std::string text = verdict_line(scorecard, stack_name, colour);
    text += fmt::format("\n{:<11}{:>11}{:>11}{:>10}{:>9}{:>8}{:>9}  {}\n", "store", "RTO nodes", "RTO client",
                        "objective", "detect", "lost", "RPO", "RTO/RPO");
    const Json* stores = find_member(scorecard, "stores");
    if (stores != nullptr && stores->is_object()) {
        for (const auto& [name, store] : stores->items()) text += store_line(name, store);
    }
    if (const Json* overall = find_member(scorecard, "overall")) {
        text += fmt::format("{:<11}{:>11}{:>11}{:>10}{:>9}{:>8}{:>9}  {}\n", "overall", "",
                            seconds(*overall, "rto_seconds"), seconds(*overall, "objective_rto_seconds"), "", "",
                            seconds(*overall, "rpo_seconds"), met_word(*overall));
    }
    text += '\n';
    if (stores != nullptr && stores->is_object()) {
        for (const auto& [name, store] : stores->items()) text += writes_line(name, store);
    }
    text += phases_text(scorecard);
    text += summary_text(scorecard);
    const std::string post_mortem = find_string(scorecard, "post_mortem").value_or("");
    if (!post_mortem.empty()) text += fmt::format("\npost-mortem: {}\n", post_mortem);
    return text;
}

}  // namespace aeterna::report
