#include "postgres/client/control_file.h"

namespace aeterna::postgres {

Result<ControlFile> read_control_of(env::Files& files, const std::string& data_directory, const std::string& hint) {
    const auto bytes = files.read(data_directory + "/" + kControlPath, kMostControlBytes);
    if (bytes) return parse_control_file(*bytes);
    Error error = wrap_error(bytes.error(), "the cluster is not known");
    error.hint = hint;
    return error;
}

}  // namespace aeterna::postgres
