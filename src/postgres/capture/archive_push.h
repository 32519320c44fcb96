// `archive-push`: a WAL segment or a history file that PostgreSQL's archiver hands over, into the logs that `backup watch`
// fills too. Whoever comes first writes; the other one compares. Other bytes at the same place are refused.
#pragma once

#include "engine/capture/capture.h"
#include "env/env.h"

namespace aeterna::postgres {

Status push_to_archive(repository::Repository& repository, const env::Env& env, const engine::ArchivePush& request,
                       const env::Context& context);

}  // namespace aeterna::postgres
