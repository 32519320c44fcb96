#include "postgres/restore_test/scratch_restore.h"

#include "postgres/capture/archive_get.h"
#include "postgres/restore/restore.h"
#include "postgres/restore_test/give_tree.h"
#include "postgres/restore_test/wal_shelf.h"

namespace aeterna::postgres {

ScratchRestore::ScratchRestore(const env::Env& env, env::FileSystem& files, ScratchWish wish)
    : env_(env),
      wish_(std::move(wish)),
      place_{wish_.room.sandbox},
      archive_(make_archive(env, files)),
      restorer_(make_restorer(env)) {
    wish_.restore.into = place_.data();
    wish_.restore.tablespaces_under = place_.tablespaces();
    wish_.restore.archive_command = shelf_command(place_);
    wish_.restore.options.clear();
}

Result<engine::RestorePlan> ScratchRestore::plan(repository::Repository& repository, const env::Context& context) {
    AETERNA_TRY(check_socket_path(place_));
    AETERNA_ASSIGN(plan_, restorer_->plan(repository, wish_.restore, context));
    AETERNA_ASSIGN(programs_, find_server_programs(plan_.backup.server_version, wish_.room.server_bin, env_, context));
    server_.emplace(ScratchOrder{place_, programs_, wish_.room.user,
                                 wish_.superuser.empty() ? "postgres" : wish_.superuser, wish_.preload},
                    env_);
    return plan_;
}

Result<std::uint64_t> ScratchRestore::fetch(repository::Repository& repository, const env::Context& context) {
    for (const std::string& directory : {place_.tablespaces(), place_.wal()}) {
        AETERNA_TRY(env_.files.make_directories(directory, 0700));
    }
    AETERNA_ASSIGN(const repository::RestoreResult restored,
                   restorer_->restore(repository, wish_.restore, plan_, context));
    std::uint64_t bytes = restored.bytes;
    if (plan_.replay) {
        AETERNA_ASSIGN(const std::uint64_t wal, fill_shelf(*archive_, repository, plan_, place_, context));
        bytes += wal;
    }
    if (!wish_.room.user) return bytes;
    for (const std::string& directory : {place_.data(), place_.tablespaces(), place_.wal()}) {
        AETERNA_TRY(give_tree(directory, wish_.room.user->owner, repository.ports().tree, env_.files));
    }
    return bytes;
}

}  // namespace aeterna::postgres
