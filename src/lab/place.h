// Place: the lab's directory on disk: made, guarded, locked, remembered (lab.json) and removed.
#pragma once

#include <memory>
#include <string>

#include "env/env.h"
#include "lab/layout.h"
#include "lab/programs.h"
#include "lab/secrets.h"

namespace aeterna::lab {

// Absolute, symbolic links resolved; the default for an empty text.
[[nodiscard]] std::string canonical_directory(const std::string& directory, const env::Env& env);

// kNotFound when there is no lab.
[[nodiscard]] Result<Layout> load_layout(const std::string& directory, const env::Env& env);
// lab.json, or a new choice of subnet and ports that is durable before this returns.
[[nodiscard]] Result<Layout> load_or_choose_layout(const std::string& directory,
                                                   const env::Env& env,
                                                   const env::Context& context);
Status save_layout(const Layout& layout, const env::Env& env);

// Makes the directory if it is missing. kGuardRefused when it is another user's (in /var/tmp
// anybody could have made it first), kConfiguration when its name does not suit.
Status claim_directory(const std::string& directory, const env::Env& env);
// kLocked when another `lab up` or `lab down` holds it.
[[nodiscard]] Result<std::unique_ptr<env::FileLock>> lock_lab(const std::string& directory,
                                                              const env::Env& env);

// Folders and configuration files of every server, owned by the servers' user. Redis' and
// Sentinel's are written once: those servers rewrite them.
[[nodiscard]] Result<Secrets> write_files(const Layout& layout, const Programs& programs,
                                          const env::Env& env, const env::Context& context);

// Removes the directory and frees its subnet. kGuardRefused when it holds no lab.json.
Status purge(const std::string& directory, const env::Env& env);

}  // namespace aeterna::lab
