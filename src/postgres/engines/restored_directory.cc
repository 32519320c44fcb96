#include "postgres/engines/restored_directory.h"

#include <fmt/format.h>

#include "postgres/client/wal.h"
#include "postgres/restore/plan.h"
#include "postgres/restore/recovery_conf.h"
#include "repository/pipeline/restore.h"

namespace aeterna::postgres {
namespace {

// Files of a directory that belongs to somebody.
class OwnedFiles {
  public:
    OwnedFiles(env::Files& files, const std::string& path, const std::optional<env::User>& user)
        : files_(files), path_(path), user_(user) {}

    [[nodiscard]] bool has(const std::string& name) const { return files_.exists(path_ + "/" + name); }
    [[nodiscard]] Result<std::string> read_if_any(const std::string& name) const {
        if (!has(name)) return std::string();
        return files_.read(path_ + "/" + name, kMostConfBytes);
    }
    Status write(const std::string& name, const std::string& text) const {
        return files_.write_durable(path_ + "/" + name, text, 0600, user_ ? std::optional(user_->owner) : std::nullopt);
    }
    Status add(const std::string& name, const std::string& text) const {
        return has(name) ? Status() : write(name, text);
    }
    Status remove(const std::string& name) const { return files_.remove(path_ + "/" + name); }

  private:
    env::Files& files_;
    const std::string& path_;
    const std::optional<env::User>& user_;
};

}  // namespace

Status check_empty_target(env::FileTree& tree, const std::string& path) {
    return repository::check_target_empty(tree, path, "Name a new or empty directory (--into).");
}

Status make_target(env::FileTree& tree, env::Files& files, const std::string& path,
                   const std::optional<env::User>& user) {
    AETERNA_TRY(check_empty_target(tree, path));
    Status made = tree.make_directory(path);
    if (!made) return made.error().code == ErrorCode::kAlreadyExists ? Status() : made;
    return user ? files.change_owner(path, user->owner) : Status();
}

Status let_stand_alone(env::Files& files, const std::string& path, const std::optional<env::User>& user,
                       const EngineRecovery& recovery) {
    const OwnedFiles directory(files, path, user);
    AETERNA_ASSIGN(const std::string control, files.read(path + "/" + kControlPath, kMostControlBytes));
    AETERNA_ASSIGN(const ControlFile parsed, parse_control_file(control));
    for (const MinimalFile& file : minimal_files()) AETERNA_TRY(directory.add(file.name, file.content));
    AETERNA_ASSIGN(const std::string conf, directory.read_if_any(kConf));
    AETERNA_ASSIGN(const std::string old, directory.read_if_any(kAutoConf));
    // First what keeps it off the live archive: whoever starts it between two of these gets at worst a server that has
    // ended its recovery early. One that finds no recovery.signal would promote at once, one with standby.signal never.
    AETERNA_TRY(directory.write(kAutoConf, restored_auto_conf(old, conf, path, parsed, Starter::kPeople, std::nullopt) +
                                               recovery_conf(recovery.restore_command, recovery.target)));
    AETERNA_TRY(directory.remove(kStandbySignal));
    return directory.add(kRecoverySignal, "");
}

}  // namespace aeterna::postgres
