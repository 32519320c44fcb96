#include "app/cli/open_repository.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "app/cli/engines.h"
#include "app/cli/render_status.h"
#include "base/strings.h"
#include "config/stack.h"
#include "env/posix/file_system.h"
#include "env/posix/file_tree.h"
#include "repository/storage/local.h"
#include "repository/storage/s3_location.h"

namespace aeterna::app {
namespace {

constexpr Duration kLineEvery = std::chrono::seconds(2);
// S3 tells whole seconds; what is more than this matters to who restores to a time.
constexpr Duration kNotedSkew = std::chrono::seconds(5);

}  // namespace

RepositoryPlace::RepositoryPlace(const Session& session)
    : env_(session.env()), tree_(env::make_posix_file_tree()), files_(env::make_posix_file_system()) {}

repository::Ports RepositoryPlace::ports() const {
    return {env_.clock, env_.random, env_.threads, env_.files, *tree_};
}

Result<std::optional<config::Stack>> stack_if_any(const Session& session) {
    env::Files& files = session.env().files;
    auto stack = config::load_stack(config::resolve_stack_path(session.options.stack, files), files);
    if (stack) return std::optional(std::move(*stack));
    const bool is_named = !session.options.stack.empty() || !files.environment_variable("AETERNA_DR_STACK").value_or("").empty();
    if (is_named) return stack.error();
    return std::optional<config::Stack>();
}

Result<std::string> state_directory_of(const Session& session) {
    AETERNA_ASSIGN(const auto stack, stack_if_any(session));
    return stack ? stack->state_directory : config::default_state_directory(session.env().files);
}

namespace {

// Where an escrow file says that its repository was; empty for other keys.
std::string place_in(const Session& session) {
    if (session.options.key_file.empty()) return "";
    const auto credential = read_credential(session, session.options.key_file);
    return credential ? credential->place : "";
}

}  // namespace

Result<std::unique_ptr<RepositoryPlace>> RepositoryPlace::find(const Session& session) {
    std::string name = session.options.repository, key_file = session.options.key_file;
    if (name.empty()) name = place_in(session);
    if (name.empty() || key_file.empty()) {
        AETERNA_ASSIGN(const auto stack, stack_if_any(session));
        if (stack && name.empty()) name = stack->repository;
        if (stack && key_file.empty()) key_file = stack->repository_key_file;
    }
    if (name.empty()) {
        return make_error(ErrorCode::kUsage, "no repository is named",
                          "Add --repo PATH or --repo s3://BUCKET/PREFIX, or name it in the stack file (repository.place).");
    }
    AETERNA_ASSIGN(auto place, at(session, name));
    place->key_file_ = std::move(key_file);
    return place;
}

Result<std::unique_ptr<RepositoryPlace>> RepositoryPlace::at(const Session& session, const std::string& name) {
    std::unique_ptr<RepositoryPlace> place(new RepositoryPlace(session));
    if (name.starts_with("s3://")) {
        AETERNA_ASSIGN(repository::OpenedS3 opened, repository::open_s3(place->env_, name));
        place->credentials_ = std::move(opened.credentials);
        place->s3_ = opened.storage.get();
        place->storage_ = std::move(opened.storage);
        place->name_ = name;
        return place;
    }
    if (name.find("://") != std::string::npos) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is no kind of repository", name),
                          "Name a directory (--repo PATH) or a bucket (--repo s3://BUCKET/PREFIX).");
    }
    place->name_ = place->env_.files.canonical(name);
    place->storage_ = std::make_unique<repository::LocalStorage>(*place->files_, place->env_.random, place->env_.clock, place->name_);
    return place;
}

Status RepositoryPlace::check_for_init(const env::Context& context) {
    return s3_ ? s3_->verify_conditional_writes(context) : Status();
}

Result<repository::Credential> read_credential(const Session& session, const std::string& path) {
    if (path.empty()) return make_error(ErrorCode::kUsage, "no key is named",
                                        "Add --key-file FILE, or name it in the stack file (repository.key_file).");
    auto text = session.env().files.read(path, 1 << 16);
    if (!text) {
        Error error = wrap_error(text.error(), "the key cannot be read");
        if (error.code != ErrorCode::kNotFound) return error;
        error.code = ErrorCode::kConfiguration;
        error.hint = "Name the key file, or an escrow of the repository (--key-file): without one of them nothing in it can be read.";
        return error;
    }
    return repository::parse_credential(*text);
}

Result<repository::Repository*> RepositoryPlace::open(const Session& session,
                                                      std::optional<repository::SessionKind> kind,
                                                      const env::Context& context) {
    AETERNA_ASSIGN(const auto credential, read_credential(session, key_file_));
    AETERNA_ASSIGN(repository_, repository::Repository::open(*storage_, credential, ports(), context));
    if (kind) {
        const std::string state = config::default_state_directory(env_.files);
        AETERNA_TRY(repository_->open_index(state + "/repository", *kind, context));
        const Duration skew = repository_->clock_skew().value_or(Duration());
        if (skew > kNotedSkew || skew < -kNotedSkew) {
            session.progress(fmt::format("this machine's clock is {} {} the repository's: the times of its backups are as wrong",
                                         format_duration(skew < Duration() ? -skew : skew),
                                         skew > Duration() ? "ahead of" : "behind"));
        }
    }
    return repository_.get();
}

std::shared_ptr<const engine::LentRepository> lend_repository(const Session& session) {
    struct Lent {
        std::unique_ptr<env::FileSystem> files = env::make_posix_file_system();
        std::unique_ptr<env::FileTree> tree = env::make_posix_file_tree();
        std::unique_ptr<RepositoryPlace> place;
        engine::LentRepository face{{}, *files, *tree};
    };
    const auto lent = std::make_shared<Lent>();
    lent->face.open = [&session, one = lent.get()](repository::SessionKind kind,
                                                   const env::Context& context) -> Result<repository::Repository*> {
        if (!one->place) {
            AETERNA_ASSIGN(one->place, RepositoryPlace::find(session));
        }
        return one->place->open(session, kind, context);
    };
    return {lent, &lent->face};
}

std::function<void(const repository::Progress&)> progress_lines(const Session& session) {
    const MonoTime begun = session.env().clock.now();
    return [&session, begun, next = begun + kLineEvery](const repository::Progress& progress) mutable {
        const MonoTime now = session.env().clock.now();
        if (now < next) return;
        next = now + kLineEvery;
        const double seconds = std::max(0.001, to_seconds(now - begun));
        const double rate = static_cast<double>(progress.bytes) / seconds;
        std::string line = fmt::format("{} files, {}, {}/s", progress.files, human_bytes(progress.bytes),
                                       human_bytes(static_cast<std::uint64_t>(rate)));
        if (progress.expected_bytes > progress.bytes && rate > 0) {
            const double left = static_cast<double>(progress.expected_bytes - progress.bytes) / rate;
            line += fmt::format(", about {} left", format_duration(from_seconds(left)));
        }
        session.progress(line);
    };
}

Json backup_json(const repository::Backup& backup) {
    return Json{{"id", backup.id},
                {"engine", engine_of(backup)},
                {"kind", backup.kind},
                {"store", backup.store.empty() ? Json(nullptr) : Json(backup.store)},
                {"name", backup.name},
                {"started_at", format_time(backup.started_at)},
                {"finished_at", format_time(backup.finished_at)},
                {"bytes", backup.bytes},
                {"stored_bytes", backup.stored_bytes},
                {"parent", backup.parent.empty() ? Json(nullptr) : Json(backup.parent)},
                {"files", backup.files},
                {"directories", backup.directories},
                {"links", backup.links},
                {"problems", backup.skipped},
                {"node", backup.node.empty() ? Json(nullptr) : Json(backup.node)},
                {"server_version", backup.server_version.empty() ? Json(nullptr) : Json(backup.server_version)},
                {"details", backup.details}};
}

unsigned worker_count() { return static_cast<unsigned>(std::clamp(::sysconf(_SC_NPROCESSORS_ONLN), 2L, 64L)); }

}  // namespace aeterna::app
