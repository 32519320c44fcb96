// Which node a base backup is taken from. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "postgres/client/sql.h"

namespace aeterna::postgres {

struct SourceCandidate {
    std::string node;
    std::optional<SqlView> view;  // nothing: it did not answer
    std::string failure;          // why not
};

// The replica that has replayed most, of those that stream; else the primary; else any replica. `wanted` names a node,
// which is taken as it is. kNotFound when nobody answered.
[[nodiscard]] Result<std::string> choose_source(const std::vector<SourceCandidate>& candidates,
                                                const std::string& wanted);

}  // namespace aeterna::postgres
