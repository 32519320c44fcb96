// restore_command: WAL segments and history files out of the repository's logs (engine/capture/capture.h, Archive).
#pragma once

#include <memory>

#include "engine/capture/capture.h"
#include "env/env.h"
#include "env/file_system.h"

namespace aeterna::postgres {

[[nodiscard]] std::unique_ptr<engine::Archive> make_archive(const env::Env& env, env::FileSystem& files);

struct ControlFile {
    std::string system_identifier;
    std::uint64_t segment_bytes = 0;  // 0: of a version whose layout is not known here
};
// Of the first bytes of global/pg_control, little-endian: the system identifier at 0, pg_control_version at 8,
// xlog_seg_size at 228 in version 1300 (src/include/catalog/pg_control.h of PostgreSQL 13 to 17; compared with a live one).
[[nodiscard]] Result<ControlFile> parse_control_file(std::string_view bytes);

}  // namespace aeterna::postgres
