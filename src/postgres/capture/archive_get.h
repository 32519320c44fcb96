// restore_command: WAL segments and history files out of the repository's logs (engine/capture/capture.h, Archive).
#pragma once

#include <memory>

#include "engine/capture/capture.h"
#include "env/env.h"
#include "env/file_system.h"

namespace aeterna::postgres {

[[nodiscard]] std::unique_ptr<engine::Archive> make_archive(const env::Env& env, env::FileSystem& files);

}  // namespace aeterna::postgres
