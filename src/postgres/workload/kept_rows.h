// Which rows of a drill lie in WAL that the surviving primary does not have: in the repository's logs behind a fork.
// The WAL itself is read, no server is restored for it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "postgres/capture/slots.h"
#include "postgres/client/wal_records.h"
#include "repository/repository.h"

namespace aeterna::postgres {

// Finds the drill's rows in records that insert into a heap, and which of them were committed. Pure. Layout: PostgreSQL
// 15, src/include/access/heapam_xlog.h (XLOG_HEAP_INSERT), xlogrecord.h (blocks and page images), htup_details.h; a row
// of drill_table_sql() is the drill's id as a short text, zeros up to a multiple of 8, and the number.
class KeptRows {
  public:
    KeptRows(const std::string& drill_id, const std::vector<std::uint64_t>& wanted);

    static constexpr std::size_t kRecordBytes = 16 << 10;  // that a reader has to keep: a page's image and more
    void see(const WalRecord& record);
    // Of the wanted ones, sorted.
    [[nodiscard]] std::vector<std::uint64_t> committed() const;
    // A page's image was compressed (wal_compression): what was not found may be in there.
    [[nodiscard]] bool has_unreadable() const { return has_unreadable_; }

  private:
    std::string pattern_;
    std::set<std::uint64_t> wanted_;
    std::multimap<std::uint32_t, std::uint64_t> rows_;  // by the transaction that wrote them
    std::set<std::uint64_t> committed_;
    bool has_unreadable_ = false;
};

// In every log of the repository behind the fork where another one goes on from it. Nothing where not all were found and the
// others may be there: the fork to the timeline of `primary`, the surviving one, is not captured yet, or the WAL behind a fork
// is damaged, has a hole, or was compressed.
[[nodiscard]] Result<std::optional<std::vector<std::uint64_t>>> find_kept_rows(repository::Repository& repository,
                                                                               const SourceView& primary,
                                                                               const std::string& drill_id,
                                                                               const std::vector<std::uint64_t>& wanted,
                                                                               const env::Context& context);

}  // namespace aeterna::postgres
