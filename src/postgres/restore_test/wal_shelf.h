// The WAL that a restored server will ask for, fetched before it starts and laid ready in the sandbox: the server itself knows
// neither repository nor key, whoever it runs as, and its restore_command copies a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/capture/backup.h"
#include "engine/capture/capture.h"
#include "postgres/restore_test/scratch_config.h"
#include "postgres/capture/wal_path.h"

namespace aeterna::postgres {

// The names by which a server asks for the segment that begins at `start`, in its order: the newest timeline first, none that
// begins behind it (PostgreSQL 15, xlogrecovery.c, XLogFileReadAnyTLI). Pure.
[[nodiscard]] std::vector<std::string> names_asked_for(const WalPath& path, Lsn start, std::uint64_t segment_bytes);

// What RestoreOrder::archive_command is for a server with a shelf. Shell-quoted.
[[nodiscard]] std::string shelf_command(const ScratchPlace& place);

// Fills the shelf for what `plan` replays, and writes the command; gives the bytes of WAL. `archive` puts files where it is told.
[[nodiscard]] Result<std::uint64_t> fill_shelf(engine::Archive& archive, repository::Repository& repository,
                                               const engine::RestorePlan& plan, const ScratchPlace& place,
                                               const env::Context& context);

}  // namespace aeterna::postgres
