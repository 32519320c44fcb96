// From an S3 server's refusal to an Error.
#pragma once

#include <string>

#include "base/error.h"
#include "base/time.h"
#include "env/net.h"

namespace aeterna::repository {

// `only_reads`: nothing can have changed. `here`: this machine's clock, to say how wrong it is where that is the cause.
[[nodiscard]] Error s3_error(const env::HttpResponse& response, const std::string& what, bool only_reads,
                             WallTime here);

}  // namespace aeterna::repository
