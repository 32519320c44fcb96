// Ledger: the record of every write that a drill's workload meant to send, sent, and what came back. The intent
// reaches the kernel before the write is sent, so that the evidence survives kill -9 of the drill itself.
// One text file per store: a header line, then "I id path intended sent" and "O id outcome done node error" lines,
// tab-separated, times in microseconds after the header's instant. Loading needs nothing but the file.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/drill/drill_store.h"
#include "env/env.h"

namespace aeterna::engine {

struct LedgerEntry {
    std::uint64_t id = 0;     // unique within the drill and store: path index << 40 | sequence
    std::uint32_t path = 0;   // index into LedgerContent::paths
    MonoTime intended{};      // when the open-loop schedule wanted it sent
    MonoTime sent{};          // when it was sent
    std::optional<MonoTime> done;  // when the outcome was known; nothing = the drill died in between
    WriteOutcome outcome = WriteOutcome::kUnknown;
    std::string node;
    std::string error;
};

struct LedgerPath {
    std::string name;
    PathKind kind = PathKind::kClient;
};

struct LedgerContent {
    std::string drill_id;
    std::string store;
    MonoTime started{};
    WallTime started_wall{};
    std::vector<LedgerPath> paths;
    std::vector<LedgerEntry> entries;  // in order of `sent`
    // Wall-clock form of a monotonic instant of this ledger.
    [[nodiscard]] WallTime wall(MonoTime time) const;
    // The inverse: where a wall-clock instant lies on this ledger's own axis.
    [[nodiscard]] MonoTime mono(WallTime time) const;
    // The last instant that the ledger knows of; `started` when it is empty.
    [[nodiscard]] MonoTime last() const;
};

constexpr int kLedgerPathShift = 40;

class Ledger {
  public:
    // Creates the file. `paths` fix the path indexes.
    [[nodiscard]] static Result<std::unique_ptr<Ledger>> create(const std::string& file, std::string drill_id,
                                                                std::string store, std::vector<LedgerPath> paths,
                                                                const env::Env& env);
    // Both are thread-safe; an error means that the evidence could not be kept and the drill must end.
    Status intend(std::uint64_t id, std::uint32_t path, MonoTime intended, MonoTime sent);
    Status settle(std::uint64_t id, MonoTime done, const WriteReply& reply);
    // A copy of what is known now.
    [[nodiscard]] LedgerContent snapshot() const;
    // Makes the file durable.
    Status sync();

  private:
    Ledger(LedgerContent content, std::unique_ptr<env::AppendFile> file);
    [[nodiscard]] long long offset_us(MonoTime time) const;

    mutable std::mutex mutex_;
    LedgerContent content_;
    std::unordered_map<std::uint64_t, std::size_t> position_;
    std::unique_ptr<env::AppendFile> file_;
};

// Reads a ledger file's text; a torn last line is ignored. kProtocol when it is no ledger.
[[nodiscard]] Result<LedgerContent> parse_ledger(std::string_view text);

}  // namespace aeterna::engine
