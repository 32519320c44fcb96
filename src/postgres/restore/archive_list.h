// What is in a dump, and what of it belongs to a table or a schema: the list of `pg_restore --list --verbose`, and a
// choice of it for --use-list. pg_restore's own --table leaves out the table's keys, indexes, defaults, sequences,
// triggers and rights; its --schema leaves out the schema itself. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aeterna::postgres {

struct ArchiveEntry {
    int id = 0;
    std::string type;  // "TABLE", "TABLE DATA", "FK CONSTRAINT" …
    std::string space;  // the schema; "-" for what is in none
    std::string name;  // with more words for some types: "orders orders_customer_fkey"
    std::vector<int> needs;  // ids
    friend bool operator==(const ArchiveEntry&, const ArchiveEntry&) = default;
};

// In the archive's order. kProtocol for a list that pg_restore does not write.
[[nodiscard]] Result<std::vector<ArchiveEntry>> parse_archive_list(std::string_view text);

struct ArchiveWish {
    std::vector<std::string> schemas;
    std::vector<std::string> tables;  // "schema.table", or "table" of the schema public
    // Where tables go there is nothing yet: their schemas come along, and what would need more than them is left out.
    bool into_empty = false;
};
struct ArchiveChoice {
    std::vector<int> ids;               // in the archive's order
    std::vector<std::string> left_out;  // what belongs to it, but needs something else: "FK CONSTRAINT s.orders …"
};
// kNotFound for a schema or a table that the archive has not.
[[nodiscard]] Result<ArchiveChoice> choose_entries(const std::vector<ArchiveEntry>& entries, const ArchiveWish& wish);

// The text for --use-list.
[[nodiscard]] std::string archive_list_text(const std::vector<int>& ids);

}  // namespace aeterna::postgres
