// See place.h. What the servers write belongs to their user, and root trusts nothing there: it
// follows no links. Pid files, logs of spawned servers, secrets, programs and lab.json stay ours,
// because we signal, run and trust what they say.
#include "lab/place.h"

#include <fmt/format.h>

#include <set>

#include "base/strings.h"
#include "lab/lab.h"
#include "lab/server_commands.h"
#include "lab/server_config.h"
#include "lab/stack_file.h"
#include "lab/supervisor.h"

namespace aeterna::lab {
namespace {

constexpr std::size_t kProgramLimit = 1 << 30;

// One file per lab of this user, named by its subnet: labs that are down keep theirs.
std::string register_directory(const env::Env& env) {
    return fmt::format("/var/tmp/aeterna-dr-{}/labs", env.processes.effective_uid());
}

Result<std::set<int>> taken_subnets(const std::string& directory, const env::Env& env) {
    std::set<int> taken;
    AETERNA_ASSIGN(const auto names, env.files.list(register_directory(env)));
    for (const std::string& name : names) {
        const auto subnet = to_integer(name);
        const auto other = env.files.read(register_directory(env) + "/" + name, 4096);
        if (!subnet || !other) continue;
        const std::string other_directory(trim(*other));
        const auto layout = load_layout(other_directory, env);
        if (other_directory != directory && layout && layout->subnet == *subnet)
            taken.insert(static_cast<int>(*subnet));
    }
    return taken;
}

// Fails on a symbolic link: the servers' user may have put it there (change_mode follows none).
Status make_folder(const std::string& path, int mode, const std::optional<env::Owner>& owner,
                   const env::Env& env) {
    AETERNA_TRY(env.files.make_directories(path, mode));
    AETERNA_TRY(env.files.change_mode(path, mode));
    if (owner) AETERNA_TRY(env.files.change_owner(path, *owner));
    return {};
}

Result<bool> can_execute(const env::User& user, const std::string& path, const env::Env& env,
                         const env::Context& context) {
    env::RunOptions options;
    options.argv = {"/usr/bin/test", "-x", path};
    options.user = user;
    AETERNA_ASSIGN(const env::RunResult result, env.processes.run(options, context));
    return result.exit_status == 0;
}

// Root's servers run as another user, who has to pass through every folder above.
Status check_reachable(const Layout& layout, const env::User& user, const env::Env& env,
                       const env::Context& context) {
    AETERNA_ASSIGN(const bool has_folder, can_execute(user, layout.path("data"), env, context));
    if (!has_folder)
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("user '{}' cannot reach '{}'", user.name, layout.directory),
                          "As root the servers run as that user: give a --dir that it can reach, "
                          "as the default one.");
    for (const std::string& program :
         {layout.has_real_qdrant() ? layout.qdrant_program : own_copy(layout),
          layout.patroni_program}) {
        if (program.empty()) continue;
        AETERNA_ASSIGN(const bool has_program, can_execute(user, program, env, context));
        if (has_program) continue;
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("user '{}' cannot execute '{}'", user.name, program),
                          "As root the servers run as that user: put Qdrant (--qdrant, "
                          "QDRANT_BIN), Patroni (--patroni) and the lab (--dir) where it may run "
                          "programs.");
    }
    return {};
}

// Ourselves, with the group of the servers' user.
std::optional<env::Owner> our_group(const std::optional<env::Owner>& owner, const env::Env& env) {
    if (!owner) return std::nullopt;
    return env::Owner{env.processes.effective_uid(), owner->gid};
}

// A running copy keeps its old file: the new one is renamed into place.
Status copy_ourselves(const Layout& layout, const Programs& programs, const env::Env& env) {
    AETERNA_TRY(make_folder(layout.path("bin"), 0755, std::nullopt, env));
    AETERNA_ASSIGN(const std::string program, env.files.read(programs.self, kProgramLimit));
    const auto present = env.files.read(own_copy(layout), kProgramLimit);
    if (present && *present == program) return env.files.change_mode(own_copy(layout), 0755);
    return env.files.write_durable(own_copy(layout), program, 0755);
}

Status make_folders(const Layout& layout, const std::optional<env::Owner>& owner,
                    const env::Env& env) {
    for (const char* folder : {"run", "log", "etc"})
        AETERNA_TRY(make_folder(layout.path(folder), 0755, std::nullopt, env));
    // Patroni removes and renames its data directory.
    AETERNA_TRY(make_folder(layout.path("data"), 0755, owner, env));
    AETERNA_TRY(make_folder(layout.path("state"), 0700, std::nullopt, env));
    // The servers' user reads its secrets but plants nothing among them.
    AETERNA_TRY(
        make_folder(layout.path("secrets"), owner ? 0750 : 0700, our_group(owner, env), env));
    AETERNA_TRY(make_folder(layout.path("log/postgres"), 0755, owner, env));
    for (const Node& node : layout.nodes()) {
        if (node.kind == "serve") continue;
        AETERNA_TRY(make_folder(layout.path("data/" + node.name), 0700, owner, env));
        if (node.kind != "postgres")
            AETERNA_TRY(make_folder(layout.path("etc/" + node.name), 0700, owner, env));
    }
    for (int host = 1; host <= kHosts; ++host)
        if (const std::string folder = layout.socket_directory(host); !folder.empty())
            AETERNA_TRY(make_folder(folder, 0755, owner, env));
    return {};
}

std::string config_text(const Layout& layout, const Secrets& secrets, const Programs& programs,
                        const Node& node) {
    if (node.kind == "patroni") return patroni_config(layout, secrets, programs, node.host);
    if (node.kind == "redis") return redis_config(layout, secrets, node.host);
    if (node.kind == "sentinel") return sentinel_config(layout, secrets, node.host);
    if (node.kind == "haproxy") return haproxy_config(layout);
    if (node.kind == "prometheus") return prometheus_config(layout);
    if (node.kind == "qdrant" && !layout.has_real_qdrant())
        return stand_in_config(layout, node.host);
    return "";
}

}  // namespace

std::string canonical_directory(const std::string& directory, const env::Env& env) {
    return env.files.canonical(directory.empty() ? default_directory(env) : directory);
}

Result<Layout> load_layout(const std::string& directory, const env::Env& env) {
    const auto text = env.files.read(directory + "/lab.json", 1 << 20);
    if (!text && text.error().code == ErrorCode::kNotFound)
        return make_error(ErrorCode::kNotFound, fmt::format("no lab in '{}'", directory),
                          "Start one with 'aeterna-dr lab up'.");
    if (!text) return text.error();
    AETERNA_ASSIGN(const Json document, parse_json(*text, directory + "/lab.json"));
    AETERNA_ASSIGN(Layout layout, Layout::from_json(document));
    if (layout.directory != directory)
        return make_error(
            ErrorCode::kConfiguration,
            fmt::format("the lab in '{}' was made as '{}'", directory, layout.directory),
            "A lab cannot be moved: move it back, or purge it and start a new one.");
    return layout;
}

Status save_layout(const Layout& layout, const env::Env& env) {
    return env.files.write_durable(layout.path("lab.json"),
                                   dump_json_pretty(layout.to_json()) + "\n", 0644);
}

Result<Layout> load_or_choose_layout(const std::string& directory, const env::Env& env,
                                     const env::Context& context) {
    auto known = load_layout(directory, env);
    if (known || known.error().code != ErrorCode::kNotFound) return known;
    AETERNA_TRY(
        claim_directory(fmt::format("/var/tmp/aeterna-dr-{}", env.processes.effective_uid()), env));
    AETERNA_TRY(env.files.make_directories(register_directory(env), 0755));
    // Two first starts at once must not choose the same subnet.
    auto lock = env.files.lock(register_directory(env) + "/lock");
    while (!lock && lock.error().code == ErrorCode::kLocked &&
           env.clock.remaining(context) > 100ms && env.clock.sleep_for(50ms, context.stop))
        lock = env.files.lock(register_directory(env) + "/lock");
    if (!lock) return lock.error();
    AETERNA_ASSIGN(const std::set<int> taken, taken_subnets(directory, env));
    AETERNA_ASSIGN(Layout layout,
                   Layout::choose(directory, taken, [&](const env::Endpoint& endpoint) {
                       return env.dialer.can_listen(endpoint);
                   }));
    AETERNA_TRY(save_layout(layout, env));
    AETERNA_TRY(env.files.write_durable(
        fmt::format("{}/{}", register_directory(env), layout.subnet), directory + "\n", 0644));
    return layout;
}

Status claim_directory(const std::string& directory, const env::Env& env) {
    if (const auto reason = unusable_directory(directory))
        return make_error(
            ErrorCode::kConfiguration, fmt::format("'{}' {}", directory, *reason),
            "Give another --dir: its path goes into the configuration of every server.");
    const auto unfit = [](Error error) {
        error.hint = "Give another --dir, where this user may make a directory.";
        return error;
    };
    if (!env.files.exists(directory)) {
        const Status made = env.files.make_directories(directory, 0755);
        return made ? made : unfit(made.error());
    }
    AETERNA_ASSIGN(const env::Owner owner, env.files.owner(directory));
    if (owner.uid == env.processes.effective_uid()) {
        const auto content = env.files.list(directory);  // fails on a file
        return content ? Status() : unfit(content.error());
    }
    return make_error(ErrorCode::kGuardRefused,
                      fmt::format("'{}' belongs to another user (uid {})", directory, owner.uid),
                      "Work on the lab as that user, or give another --dir.");
}

Result<std::unique_ptr<env::FileLock>> lock_lab(const std::string& directory, const env::Env& env) {
    auto lock = env.files.lock(directory + "/lab.lock");
    if (lock || lock.error().code != ErrorCode::kLocked) return lock;
    return make_error(ErrorCode::kLocked,
                      fmt::format("another 'lab up' or 'lab down' works on '{}'", directory),
                      "Wait until it is done.");
}

Result<Secrets> write_files(const Layout& layout, const Programs& programs, const env::Env& env,
                            const env::Context& context) {
    AETERNA_ASSIGN(const std::optional<env::User> user, find_server_user(env));
    const std::optional<env::Owner> owner = user ? std::optional(user->owner) : std::nullopt;
    AETERNA_TRY(make_folders(layout, owner, env));
    if (user && !layout.has_real_qdrant()) AETERNA_TRY(copy_ourselves(layout, programs, env));
    if (user) AETERNA_TRY(check_reachable(layout, *user, env, context));
    AETERNA_ASSIGN(Secrets secrets, Secrets::load_or_make(layout, env, our_group(owner, env)));
    for (const Node& node : layout.nodes()) {
        const std::string text = config_text(layout, secrets, programs, node);
        const std::string file = config_file(layout, node);
        const bool is_rewritten_by_server = node.kind == "redis" || node.kind == "sentinel";
        if (text.empty() || (is_rewritten_by_server && env.files.exists(file))) continue;
        AETERNA_TRY(env.files.write_durable(file, text, 0600, owner));
    }
    AETERNA_TRY(
        env.files.write_durable(layout.path("stack.yaml"), stack_file(layout, programs), 0644));
    return secrets;
}

Status purge(const std::string& directory, const env::Env& env) {
    if (!env.files.exists(directory)) return {};
    if (!env.files.exists(directory + "/lab.json"))
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("'{}' holds no lab.json: not removed", directory),
                          "Remove it yourself if it is yours.");
    AETERNA_TRY(claim_directory(directory, env));
    if (const auto layout = load_layout(directory, env)) {
        const std::string entry = fmt::format("{}/{}", register_directory(env), layout->subnet);
        const auto registered = env.files.read(entry, 4096);
        if (registered && trim(*registered) == directory) AETERNA_TRY(env.files.remove(entry));
    }
    return env.files.remove_tree(directory);
}

}  // namespace aeterna::lab
