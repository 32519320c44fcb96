// `export postgres`: a database of a logical backup as one file that stock pg_restore loads (the custom format,
// uncompressed).
#pragma once

#include <memory>
#include <vector>

#include "engine/capture/backup.h"
#include "env/file_system.h"

namespace aeterna::postgres {

[[nodiscard]] std::unique_ptr<engine::Exporter> make_exporter(env::FileSystem& files);
[[nodiscard]] std::vector<engine::CommandOption> export_options();

}  // namespace aeterna::postgres
