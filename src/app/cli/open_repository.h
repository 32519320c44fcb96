// What the commands of the repository share: opening it by --repo and --key-file, by an escrow or by the stack file,
// lending it to runbooks, progress, and JSON of a backup.
#pragma once

#include <memory>
#include <optional>

#include "app/cli/session.h"
#include "env/file_system.h"
#include "env/file_tree.h"
#include "repository/pipeline/backup.h"
#include "repository/repository.h"
#include "repository/storage/s3.h"

namespace aeterna::app {

// Long work ends when it is done, when it is stopped, or by --timeout.
inline constexpr Duration kRepositoryTimeout = std::chrono::hours(24 * 30);

// Owns everything that an open repository refers to.
class RepositoryPlace {
  public:
    // The storage that --repo names, else the escrow file in --key-file, else the stack file; nothing is touched yet.
    // kUsage when none does.
    [[nodiscard]] static Result<std::unique_ptr<RepositoryPlace>> find(const Session& session);
    // The storage at `name`, a path or s3://….
    [[nodiscard]] static Result<std::unique_ptr<RepositoryPlace>> at(const Session& session, const std::string& name);

    [[nodiscard]] repository::Storage& storage() { return *storage_; }
    // What --repo has to be for it, from any folder.
    [[nodiscard]] const std::string& name() const { return name_; }
    // What --key-file names, else the stack file's repository.key_file; empty when neither does.
    [[nodiscard]] const std::string& key_file() const { return key_file_; }
    // Whether a repository may be begun here: kConfiguration where two inits at once could both win.
    Status check_for_init(const env::Context& context);
    [[nodiscard]] repository::Ports ports() const;
    // Opens it with the credential in key_file(); for a kind of work with the index too, whose cache is in the state
    // directory.
    [[nodiscard]] Result<repository::Repository*> open(const Session& session,
                                                       std::optional<repository::SessionKind> kind,
                                                       const env::Context& context);

  private:
    explicit RepositoryPlace(const Session& session);

    const env::Env& env_;
    std::unique_ptr<env::FileTree> tree_;
    std::unique_ptr<env::FileSystem> files_;
    std::unique_ptr<repository::CredentialSource> credentials_;
    std::unique_ptr<repository::Storage> storage_;
    repository::S3Storage* s3_ = nullptr;  // what storage_ is, where it is S3
    std::string name_, key_file_;
    std::unique_ptr<repository::Repository> repository_;
};

// For runbooks that restore: the place that find() gives, found at its first use. `session` must outlive it.
[[nodiscard]] std::shared_ptr<const engine::LentRepository> lend_repository(const Session& session);

// The stack file where there is one; a stack that is named has to be readable.
[[nodiscard]] Result<std::optional<config::Stack>> stack_if_any(const Session& session);
// Where results of work with the repository are kept: the stack's, else the user's.
[[nodiscard]] Result<std::string> state_directory_of(const Session& session);

// The credential in the file. kUsage without a path, kConfiguration without the file.
[[nodiscard]] Result<repository::Credential> read_credential(const Session& session, const std::string& path);

// A line on stderr every two seconds: done, rate, and how long it may still take.
[[nodiscard]] std::function<void(const repository::Progress&)> progress_lines(const Session& session);

[[nodiscard]] Json backup_json(const repository::Backup& backup);
// As many workers as there are cores, at least two.
[[nodiscard]] unsigned worker_count();

}  // namespace aeterna::app
