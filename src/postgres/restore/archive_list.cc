#include "postgres/restore/archive_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

// The types of two and three words (PostgreSQL 15 to 17, bin/pg_dump/pg_dump.c); all others have one.
constexpr std::string_view kTypes[] = {"TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH TEMPLATE",
                                       "MATERIALIZED VIEW DATA", "PUBLICATION TABLES IN SCHEMA", "TEXT SEARCH PARSER",
                                       "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "MATERIALIZED VIEW",
                                       "DATABASE PROPERTIES", "PUBLICATION TABLE", "SEQUENCE OWNED BY",
                                       "STATISTICS DATA", "SUBSCRIPTION TABLE", "CHECK CONSTRAINT", "OPERATOR FAMILY",
                                       "SECURITY LABEL", "OPERATOR CLASS", "FK CONSTRAINT", "FOREIGN SERVER",
                                       "FOREIGN TABLE", "ACCESS METHOD", "EVENT TRIGGER", "INDEX ATTACH",
                                       "TABLE ATTACH", "ROW SECURITY", "SEQUENCE SET", "USER MAPPING", "DEFAULT ACL",
                                       "BLOB COMMENTS", "BLOB METADATA", "LARGE OBJECT", "SHELL TYPE", "TABLE DATA"};

// What stands by itself and can be asked for as a table.
constexpr std::string_view kTables[] = {"TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"};

// What belongs to what it needs, whichever else it needs too.
constexpr std::string_view kParts[] = {"TABLE DATA", "MATERIALIZED VIEW DATA", "DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT",
                                       "INDEX", "ROW SECURITY", "COMMENT", "ACL", "SECURITY LABEL", "STATISTICS",
                                       "STATISTICS DATA", "SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET"};
// The same, but they may call what the table does not bring: a function, another table.
constexpr std::string_view kCallers[] = {"TRIGGER", "RULE", "POLICY"};
// What belongs to all that it needs together.
constexpr std::string_view kLinks[] = {"FK CONSTRAINT", "TABLE ATTACH", "INDEX ATTACH"};

template <class List>
bool has(const List& list, std::string_view word) {
    return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

bool parse_entry(std::string_view line, ArchiveEntry& entry) {
    const std::size_t semicolon = line.find("; ");
    const auto id = to_integer(line.substr(0, semicolon));
    if (semicolon == std::string_view::npos || !id) return false;
    std::string_view rest = line.substr(semicolon + 2);
    for (int oid = 0; oid < 2; ++oid) {
        const std::size_t space = rest.find(' ');
        if (space == std::string_view::npos || !to_integer(rest.substr(0, space))) return false;
        rest.remove_prefix(space + 1);
    }
    entry.id = static_cast<int>(*id);
    std::string_view type = rest.substr(0, rest.find(' '));
    for (const std::string_view known : kTypes) {
        if (rest.starts_with(known) && rest.substr(known.size()).starts_with(" ") && known.size() > type.size()) type = known;
    }
    if (rest.size() <= type.size()) return false;
    entry.type = type;
    rest.remove_prefix(type.size() + 1);
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) return false;
    entry.space = rest.substr(0, space);
    rest.remove_prefix(space + 1);
    entry.name = rest.substr(0, rest.rfind(' '));  // the owner comes last
    return true;
}

class Choice {
  public:
    Choice(const std::vector<ArchiveEntry>& entries, bool into_empty) : entries_(entries), into_empty_(into_empty) {
        for (const ArchiveEntry& entry : entries) by_id_[entry.id] = &entry;
    }

    Status add_schema(const std::string& schema) {
        bool has_any = false;
        for (const ArchiveEntry& entry : entries_) {
            const bool is_itself = entry.type == "SCHEMA" && entry.name == schema;
            if (!is_itself && entry.space != schema) continue;
            has_any = true;
            if (is_itself || (!has(kLinks, entry.type) && entry.type != "PUBLICATION TABLE")) chosen_.insert(entry.id);
        }
        if (has_any) return {};
        return make_error(ErrorCode::kNotFound, fmt::format("the dump has no schema '{}'", one_line(schema)),
                          "Restore it without --schema, or name another backup.");
    }

    Status add_table(const std::string& word) {
        const std::size_t dot = word.find('.');
        const std::string space = dot == std::string::npos ? "public" : word.substr(0, dot);
        const std::string name = dot == std::string::npos ? word : word.substr(dot + 1);
        bool has_any = false;
        for (const ArchiveEntry& entry : entries_) {
            if (into_empty_ && entry.type == "SCHEMA" && entry.name == space) chosen_.insert(entry.id);
            if (!has(kTables, entry.type) || entry.space != space || entry.name != name) continue;
            chosen_.insert(entry.id);
            has_any = true;
        }
        if (has_any) return {};
        return make_error(ErrorCode::kNotFound, fmt::format("the dump has no table '{}.{}'", one_line(space), one_line(name)),
                          "Write SCHEMA.TABLE as the database has it; `pg_restore --list` of an export shows them.");
    }

    // Until nothing more belongs: an index's comment belongs to the index, which belongs to the table.
    ArchiveChoice finish() {
        std::size_t before = 0;
        do {
            before = chosen_.size();
            for (const ArchiveEntry& entry : entries_) grow(entry);
        } while (chosen_.size() != before);
        ArchiveChoice choice;
        for (const ArchiveEntry& entry : entries_) {
            if (is_chosen(entry.id)) {
                choice.ids.push_back(entry.id);
            } else if (is_link(entry) && needs_chosen(entry)) {
                choice.left_out.push_back(fmt::format("{} {}.{}", entry.type, entry.space, entry.name));
            }
        }
        return choice;
    }

  private:
    [[nodiscard]] bool is_chosen(int id) const { return chosen_.contains(id); }
    [[nodiscard]] bool is_link(const ArchiveEntry& entry) const {
        return has(kLinks, entry.type) || (has(kCallers, entry.type) && into_empty_);
    }
    // A schema is needed by all that is in it, and says nothing about belonging.
    [[nodiscard]] bool is_schema(int id) const {
        const auto found = by_id_.find(id);
        return found != by_id_.end() && found->second->type == "SCHEMA";
    }
    [[nodiscard]] bool needs_chosen(const ArchiveEntry& entry) const {
        return std::any_of(entry.needs.begin(), entry.needs.end(),
                           [&](int id) { return is_chosen(id) && !is_schema(id); });
    }

    void grow(const ArchiveEntry& entry) {
        if (entry.type == "DEFAULT" && is_chosen(entry.id)) {  // of a sequence that no column owns
            for (const int id : entry.needs) {
                const auto found = by_id_.find(id);
                if (found != by_id_.end() && found->second->type == "SEQUENCE") chosen_.insert(id);
            }
        }
        if (is_chosen(entry.id)) return;
        const bool is_part = has(kParts, entry.type) || (has(kCallers, entry.type) && !into_empty_);
        if (is_part && needs_part_owner(entry)) chosen_.insert(entry.id);
        if (entry.type == "TABLE ATTACH" && needs_chosen(entry)) add_partition(entry);
        if (is_link(entry) && !entry.needs.empty() &&
            std::all_of(entry.needs.begin(), entry.needs.end(), [&](int id) { return is_chosen(id) || is_schema(id); })) {
            chosen_.insert(entry.id);
        }
    }

    // The rights on a schema and its comment belong to it; nothing else does by needing it.
    [[nodiscard]] bool needs_part_owner(const ArchiveEntry& entry) const {
        if (entry.space == "-") return std::any_of(entry.needs.begin(), entry.needs.end(), [&](int id) { return is_chosen(id); });
        return needs_chosen(entry);
    }

    // A partition's attachment has its name: whoever wants the partitioned table wants its partitions.
    void add_partition(const ArchiveEntry& attach) {
        for (const int id : attach.needs) {
            const auto found = by_id_.find(id);
            if (found == by_id_.end() || is_chosen(id)) continue;
            const ArchiveEntry& table = *found->second;
            if (table.space == attach.space && table.name == attach.name) chosen_.insert(id);
        }
    }

    const std::vector<ArchiveEntry>& entries_;
    const bool into_empty_;
    std::map<int, const ArchiveEntry*> by_id_;
    std::set<int> chosen_;
};

}  // namespace

Result<std::vector<ArchiveEntry>> parse_archive_list(std::string_view text) {
    constexpr std::string_view kNeeds = ";\tdepends on:";
    std::vector<ArchiveEntry> entries;
    for (const std::string_view line : split(text, '\n')) {
        if (line.starts_with(kNeeds) && !entries.empty()) {
            for (const std::string_view word : split(line.substr(kNeeds.size()), ' ')) {
                if (const auto id = to_integer(word)) entries.back().needs.push_back(static_cast<int>(*id));
            }
            continue;
        }
        if (line.empty() || line.front() == ';') continue;
        ArchiveEntry entry;
        if (!parse_entry(line, entry)) {
            return make_error(ErrorCode::kProtocol, fmt::format("pg_restore's list has the line '{}'", one_line(line)));
        }
        entries.push_back(std::move(entry));
    }
    return entries;
}

Result<ArchiveChoice> choose_entries(const std::vector<ArchiveEntry>& entries, const ArchiveWish& wish) {
    Choice choice(entries, wish.into_empty);
    for (const std::string& schema : wish.schemas) AETERNA_TRY(choice.add_schema(schema));
    for (const std::string& table : wish.tables) AETERNA_TRY(choice.add_table(table));
    return choice.finish();
}

std::string archive_list_text(const std::vector<int>& ids) {
    std::string text;
    for (const int id : ids) text += fmt::format("{};\n", id);
    return text;
}

}  // namespace aeterna::postgres
