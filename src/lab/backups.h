// The lab's repository, into which its serve captures: DIR/repository, with its key beside the other secrets.
#pragma once

#include <string>

#include "env/env.h"
#include "lab/layout.h"

namespace aeterna::lab {

[[nodiscard]] std::string repository_directory(const Layout& layout);
[[nodiscard]] std::string repository_key_file(const Layout& layout);

// Makes both where they are missing. A repository that is there is left as it is.
Status prepare_repository(const Layout& layout, const env::Env& env, const env::Context& context);

}  // namespace aeterna::lab
