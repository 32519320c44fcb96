#include "report/scorecard_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <vector>

#include "base/strings.h"
#include "base/time.h"
#include "report/assist_text.h"

namespace aeterna::report {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::size_t kNameWidth = 16;    // "qdrant STAND-IN" and a space
constexpr std::size_t kIndent = 10;      // of the remarks, behind the store's name
constexpr std::size_t kPhaseWidth = 22;  // "redundancy restored" and room

std::string seconds(const Json& object, std::string_view key) {
    const auto value = find_number(object, key);
    if (!value) return "unknown";
    return *value == 0 ? "0 s" : format_duration(from_seconds(*value));
}

std::string count(const Json& object, std::string_view key) {
    const auto value = find_integer(object, key);
    return value ? fmt::format("{}", *value) : "unknown";
}

const Json& members(const Json& object, std::string_view key) {
    static const Json kNone = Json::object();
    const Json* found = find_member(object, key);
    return found != nullptr && found->is_object() ? *found : kNone;
}

bool is_stand_in(const Json& store) { return find_string(store, "server").value_or("real") != "real"; }

std::string paint(std::string_view text, int colour_code, bool colour) {
    return colour ? fmt::format("\x1b[1;{}m{}\x1b[0m", colour_code, text) : std::string(text);
}

constexpr int kRed = 31, kGreen = 32, kYellow = 33;

std::string met_word(const Json& object, bool colour) {
    const auto met = find_boolean(object, "met");
    if (!met) return paint("UNKNOWN", kYellow, colour);
    return *met ? paint("met", kGreen, colour) : paint("MISSED", kRed, colour);
}

// `name` in its column; a longer one gets a line of its own.
std::string label(const std::string& name, std::size_t width) {
    if (name.size() < width) return fmt::format("{:<{}}", name, width);
    return fmt::format("{}\n{:{}}", name, "", width);
}

// Words in lines of at most kWidth columns; every line after the first is indented.
std::string wrap(const std::string& first, const std::string& text) {
    std::string wrapped, line = first;
    bool is_empty = true;
    for (const std::string_view word : split(text, ' ')) {
        if (word.empty()) continue;
        if (!is_empty && line.size() + 1 + word.size() > kWidth) {
            wrapped += line + '\n';
            line.assign(kIndent, ' ');
            is_empty = true;
        }
        if (!is_empty) line += ' ';
        line += word;
        is_empty = false;
    }
    return wrapped + line + '\n';
}

std::string head(const Json& card, const std::string& stack_name, bool colour) {
    const std::string verdict = find_string(card, "verdict").value_or("unknown");
    const int code = verdict == "pass" ? kGreen : verdict == "fail" ? kRed : kYellow;
    std::string upper;
    for (const char c : verdict) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    std::string text = fmt::format("{}  drill {}: primary failover by {}\n\n", paint(upper, code, colour),
                                   find_string(card, "drill").value_or("?"),
                                   find_string(card, "fault").value_or("?"));
    text += label("stack", kIndent) + stack_name + '\n';
    if (const auto id = find_string(card, "id")) text += label("run", kIndent) + *id + '\n';
    text += fmt::format("{}{}\n", label("began", kIndent), find_string(card, "started_at").value_or("unknown"));
    return text + fmt::format("{}{}, assist {}\n", label("seed", kIndent), count(card, "seed"),
                              find_string(card, "assist").value_or("unknown"));
}

std::string display_name(const std::string& name, const Json& store) {
    return is_stand_in(store) ? name + " STAND-IN" : name;
}

std::string outage_table(const Json& card) {
    constexpr std::string_view kRow = "{}{:>15}{:>15}{:>15}{:>15}\n";
    std::string text =
        fmt::format(kRow, label("NO WRITES FOR", kNameWidth), "nodes", "clients", "objective", "detected");
    for (const auto& [name, store] : members(card, "stores").items()) {
        const bool faulted = find_boolean(store, "faulted").value_or(false);
        text += fmt::format(kRow, label(display_name(name, store), kNameWidth), seconds(store, "rto_seconds"),
                            seconds(store, "client_rto_seconds"), seconds(store, "objective_rto_seconds"),
                            faulted ? seconds(store, "detect_seconds") : "no fault");
    }
    const Json& overall = members(card, "overall");
    if (overall.empty()) return text;
    return text + fmt::format("{}{:>30}{:>15}\n", label("overall", kNameWidth), seconds(overall, "rto_seconds"),
                              seconds(overall, "objective_rto_seconds"));
}

std::string loss_table(const Json& card, bool colour) {
    constexpr std::string_view kRow = "{}{:>13}{:>9}{:>9}{:>12}{:>12}  {}\n";
    std::string text = fmt::format(kRow, label("WRITES LOST", kNameWidth), "acknowledged", "lost", "unknown", "over",
                                   "objective", "result");
    for (const auto& [name, store] : members(card, "stores").items()) {
        text += fmt::format(kRow, label(display_name(name, store), kNameWidth), count(store, "acknowledged"),
                            count(store, "lost"), count(store, "unknown"), seconds(store, "rpo_seconds"),
                            seconds(store, "objective_rpo_seconds"), met_word(store, colour));
    }
    const Json& overall = members(card, "overall");
    if (overall.empty()) return text;
    return text + fmt::format(kRow, label("overall", kNameWidth), "", "", "", seconds(overall, "rpo_seconds"),
                              seconds(overall, "objective_rpo_seconds"), met_word(overall, colour));
}

std::vector<std::string> remarks_of(const Json& store, const std::string& fault) {
    std::vector<std::string> remarks;
    const auto number = [&](std::string_view key) { return find_integer(store, key).value_or(0); };
    if (is_stand_in(store)) remarks.emplace_back("STAND-IN: not the real server, so these figures prove nothing about it");
    if (const auto primary = find_string(store, "primary"); primary && !primary->empty()) {
        const std::string now = find_string(store, "new_primary").value_or("");
        remarks.push_back(fmt::format("{} of {}; {}", fault, *primary,
                                      now.empty() ? "who is primary now is unknown" : now + " is primary now"));
    }
    if (const Json* assist = find_member(store, "assist")) {
        for (const std::string& line : assist_lines(*assist, "the fault")) remarks.push_back(line);
    }
    if (number("lost") > 0) {
        remarks.push_back(fmt::format("of {} lost writes {} were acknowledged before the fault, {} after it",
                                      number("lost"), number("lost_before_fault"), number("lost_after_fault")));
    }
    if (const Json* kept = find_member(store, "lost_in_repository"); kept && kept->is_array()) {
        remarks.push_back(fmt::format("of the lost writes the repository still has {}", kept->size()));
    }
    if (number("unknown") > 0) {
        remarks.push_back(fmt::format("of {} writes without an answer the store has {}", number("unknown"),
                                      number("unknown_present")));
    }
    if (number("missed_slots") > 0) {
        remarks.push_back(fmt::format("{} writes of the schedule came too late and were not sent",
                                      number("missed_slots")));
    }
    for (const std::string& note : find_strings(store, "notes")) remarks.push_back("note: " + one_line(note, 2000));
    return remarks;
}

std::string remarks_text(const Json& card) {
    std::string text;
    const std::string fault = find_string(card, "fault").value_or("fault");
    for (const auto& [name, store] : members(card, "stores").items()) {
        std::string first = label(name, kIndent);
        for (const std::string& remark : remarks_of(store, fault)) {
            text += wrap(first, remark);
            first.assign(kIndent, ' ');
        }
    }
    return text.empty() ? text : '\n' + text;
}

struct PhaseTable {
    std::vector<std::string> stores;                              // in order of appearance
    std::map<std::string, std::map<std::string, double>> phases;  // name → store → seconds
    std::vector<std::pair<double, std::string>> order;            // by the earliest store
};

PhaseTable phase_table(const Json& card) {
    PhaseTable table;
    const Json* list = find_member(card, "phases");
    for (const Json& phase : list != nullptr && list->is_array() ? *list : Json::array()) {
        const auto store = find_string(phase, "store"), name = find_string(phase, "name");
        const auto at = find_number(phase, "at_seconds");
        if (!store || !name || !at) continue;
        if (std::find(table.stores.begin(), table.stores.end(), *store) == table.stores.end()) {
            table.stores.push_back(*store);
        }
        table.phases[*name].emplace(*store, *at);
    }
    for (const auto& [name, by_store] : table.phases) {
        double earliest = HUGE_VAL;
        for (const auto& [store, at] : by_store) earliest = std::min(earliest, at);
        table.order.emplace_back(earliest, name);
    }
    std::sort(table.order.begin(), table.order.end());
    return table;
}

// Stores side by side; as many as fit a line, the others below.
std::string phases_text(const Json& card) {
    const PhaseTable table = phase_table(card);
    std::string text;
    for (std::size_t begin = 0; begin < table.stores.size();) {
        std::string header = fmt::format("\n{:<{}}", "SECONDS AFTER FAULT", kPhaseWidth);
        std::size_t end = begin;
        std::vector<std::size_t> widths;
        for (std::size_t used = kPhaseWidth; end < table.stores.size(); ++end) {
            const std::size_t width = std::max<std::size_t>(table.stores[end].size() + 2, 12);
            if (end > begin && used + width > kWidth) break;
            used += width;
            widths.push_back(width);
            header += fmt::format("{:>{}}", table.stores[end], width);
        }
        text += header + '\n';
        for (const auto& [earliest, name] : table.order) {
            std::string words = name;
            std::replace(words.begin(), words.end(), '_', ' ');
            text += label(words, kPhaseWidth);
            for (std::size_t i = begin; i < end; ++i) {
                const auto& by_store = table.phases.at(name);
                const auto found = by_store.find(table.stores[i]);
                text += fmt::format("{:>{}}", found == by_store.end() ? "-" : fmt::format("{:.2f}", found->second),
                                    widths[i - begin]);
            }
            text += '\n';
        }
        begin = end;
    }
    return text;
}

constexpr std::pair<std::string_view, std::string_view> kFigures[] = {
    {"rto_seconds", "nodes"}, {"client_rto_seconds", "clients"}, {"detect_seconds", "detected"},
    {"rpo_seconds", "loss over"}, {"saved_seconds", "wait saved"},
};

std::string summary_text(const Json& card) {
    const Json& summary = members(card, "summary");
    if (summary.empty()) return "";
    // Rounded down: "at least" must hold for what is printed.
    const double rate = std::floor(1000 * find_number(summary, "pass_rate_at_least").value_or(0)) / 10;
    std::string text = fmt::format("\n{} of {} runs passed: at least {:.1f} % of such drills do ({:.0f} % confidence).\n",
                                   count(summary, "passes"), count(summary, "runs"), rate,
                                   100 * find_number(summary, "confidence").value_or(0.95));
    text += "The figures above are those of the worst run.\n\n";
    constexpr std::string_view kRow = "{}{:<12}{:>9}{:>14}{:>14}{:>14}\n";
    text += fmt::format(kRow, label("ALL RUNS", kNameWidth), "", "runs", "median", "max", "not measured");
    for (const auto& [name, store] : members(summary, "stores").items()) {
        std::string first = label(name, kNameWidth);
        for (const auto& [key, word] : kFigures) {
            const Json& column = members(store, key);
            if (find_integer(column, "n").value_or(0) + find_integer(column, "censored").value_or(0) == 0) continue;
            text += fmt::format(kRow, first, word, count(column, "n"), seconds(column, "median"),
                                seconds(column, "max"), count(column, "censored"));
            first.assign(kNameWidth, ' ');
        }
        for (const auto& [outcome, runs] : members(store, "assists").items()) {
            if (outcome == "off" || !runs.is_number_unsigned()) continue;
            text += fmt::format("{}{:<12}{} in {} runs\n", first, "assist", outcome, runs.get<std::uint64_t>());
            first.assign(kNameWidth, ' ');
        }
        const Json& lost = members(store, "lost");
        if (lost.empty()) continue;
        text += fmt::format("{}{:<12}{} in all, at most {} in one run\n", first, "lost writes", count(lost, "total"),
                            count(lost, "max"));
    }
    return text;
}

}  // namespace

std::string scorecard_text(const Json& scorecard, const std::string& stack_name, bool colour) {
    std::string text = head(scorecard, stack_name, colour);
    text += '\n' + outage_table(scorecard);
    text += '\n' + loss_table(scorecard, colour);
    text += remarks_text(scorecard);
    text += phases_text(scorecard);
    text += summary_text(scorecard);
    if (find_boolean(scorecard, "healed") == false) {
        text += "\nNot everything that the drill broke is healed: run `aeterna-dr drill heal`.\n";
    }
    const std::string post_mortem = find_string(scorecard, "post_mortem").value_or("");
    if (post_mortem.empty()) return text;
    const std::string title = "post-mortem: ";
    const bool fits = title.size() + post_mortem.size() <= kWidth;
    return text + '\n' + (fits ? title : "post-mortem:\n") + post_mortem + '\n';
}

}  // namespace aeterna::report
