#include "engine/restore_test/sandbox.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "base/json.h"
#include "base/paths.h"
#include "engine/restore_test/await_lock.h"

namespace aeterna::engine {
namespace {

constexpr std::string_view kPrefix = "restore-test-";
constexpr std::size_t kDigits = 8;
constexpr const char* kMarker = "/marker.json";
constexpr const char* kWorkLock = "/restore-test.lock";
constexpr Duration kGentle = std::chrono::seconds(10);
constexpr Duration kKilled = std::chrono::seconds(10);

std::vector<env::ProcessInfo> inhabitants(const std::string& path, const std::vector<std::string>& programs,
                                          const env::Env& env) {
    std::vector<env::ProcessInfo> found = env.processes.list();
    std::erase_if(found, [&](const env::ProcessInfo& process) {
        return process.id.pid == env.processes.own_pid() || !lies_in(process.working_directory, path) ||
               std::find(programs.begin(), programs.end(), process.command) == programs.end();
    });
    return found;
}

// A stopped test has to clean up all the same: neither its deadline nor its stop token holds here.
env::Context time_for(Duration duration, const env::Env& env) { return {env.clock.now() + duration, {}, "sandbox"}; }

Status end_and_remove(const std::string& path, const std::vector<std::string>& programs, const env::Env& env) {
    AETERNA_TRY(end_inhabitants(path, programs, env));
    const auto names = env.files.list(path);
    if (!names) return names.error().code == ErrorCode::kNotFound ? Status() : Status(names.error());
    // The marker last: without it nobody would know that what is left may go.
    for (const std::string& name : *names) {
        if (name != kMarker + 1) AETERNA_TRY(env.files.remove_tree(path + "/" + name));
    }
    return env.files.remove_tree(path);
}

// Its maker is gone. Without a marker it was never finished: that is done under the lock, which we hold.
bool is_dead(const std::string& path, const env::Env& env) {
    const auto owner = env.files.owner(path);
    if (!owner || owner->uid != env.processes.effective_uid()) return false;
    const auto text = env.files.read(path + kMarker, 4096);
    if (!text) {
        const auto names = env.files.list(path);
        return names && std::all_of(names->begin(), names->end(),
                                    [](const std::string& name) { return env::is_left_by_write(name, kMarker + 1); });
    }
    const auto document = parse_json(*text, path + kMarker);
    if (!document) return false;
    const auto pid = find_integer(*document, "pid"), ticks = find_integer(*document, "start_ticks");
    if (!pid || !ticks) return false;
    return !env.processes.is_alive({static_cast<int>(*pid), static_cast<std::uint64_t>(*ticks)});
}

Result<std::size_t> sweep(const SandboxOrder& order, const env::Env& env) {
    AETERNA_ASSIGN(const auto names, env.files.list(order.work));
    std::size_t count = 0;
    for (const std::string& name : names) {
        const std::string path = order.work + "/" + name;
        if (!is_sandbox_name(name) || !is_dead(path, env)) continue;
        AETERNA_TRY(end_and_remove(path, order.programs, env));
        ++count;
    }
    return count;
}

// Held for the moment of sweeping and making; its file does not stay.
class WorkLock {
  public:
    static Result<WorkLock> take(const std::string& work, const env::Env& env, const env::Context& context) {
        const std::string path = work + kWorkLock;
        AETERNA_ASSIGN(auto lock, await_lock(path, env, context));
        return WorkLock(std::move(lock), path, env);
    }
    ~WorkLock() {
        if (lock_) (void)env_.files.remove(path_);
    }
    WorkLock(WorkLock&&) = default;

  private:
    WorkLock(std::unique_ptr<env::FileLock> lock, std::string path, const env::Env& env)
        : lock_(std::move(lock)), path_(std::move(path)), env_(env) {}
    std::unique_ptr<env::FileLock> lock_;
    std::string path_;
    const env::Env& env_;
};

// Whoever owns a directory can put another one in the place of what lies in it.
Status check_owner(const std::string& work, const env::Env& env) {
    AETERNA_ASSIGN(const env::Owner owner, env.files.owner(work));
    if (owner.uid == env.processes.effective_uid() || owner.uid == 0) return {};
    return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' belongs to another user", work),
                      "Name a directory of your own: --work DIR.");
}

Status check_reachable(const std::string& path, const env::User& user, const env::Env& env,
                       const env::Context& context) {
    env::RunOptions options;
    options.argv = {"/usr/bin/test", "-x", path};
    options.user = user;
    AETERNA_ASSIGN(const env::RunResult result, env.processes.run(options, context));
    if (result.exit_status == 0) return {};
    return make_error(ErrorCode::kConfiguration, fmt::format("user '{}' cannot reach '{}'", user.name, path),
                      "The server runs as that user: name a directory that it can reach (--work).");
}

Status furnish(const std::string& path, bool is_for_other, const env::Env& env) {
    AETERNA_TRY(env.files.make_directories(path, is_for_other ? 0711 : 0700));
    const auto self = env.processes.inspect(env.processes.own_pid());
    const Json marker{{"pid", env.processes.own_pid()}, {"start_ticks", self ? self->id.start_ticks : 0}};
    return env.files.write_durable(path + kMarker, dump_json(marker) + "\n");
}

}  // namespace

Status end_inhabitants(const std::string& path, const std::vector<std::string>& programs, const env::Env& env) {
    const auto first = inhabitants(path, programs, env);
    const auto is_child = [&](const env::ProcessInfo& process) {
        return std::any_of(first.begin(), first.end(),
                           [&](const env::ProcessInfo& other) { return other.id.pid == process.parent_pid; });
    };
    // Only those that nobody else in there ends: a server ends its own children, and takes its shared memory with it.
    for (const env::ProcessInfo& process : first) {
        if (!is_child(process)) (void)env.processes.signal(process.id, SIGQUIT);
    }
    const env::Context gentle = time_for(kGentle, env);
    for (const env::ProcessInfo& process : first) (void)env.processes.wait_gone(process.id, gentle);
    const auto left = inhabitants(path, programs, env);
    for (const env::ProcessInfo& process : left) (void)env.processes.signal(process.id, SIGKILL);
    const env::Context killed = time_for(kKilled, env);
    for (const env::ProcessInfo& process : left) {
        if (env.processes.wait_gone(process.id, killed)) continue;
        return make_error(ErrorCode::kIo, fmt::format("process {} in '{}' does not end", process.id.pid, path),
                          "End it and try again.");
    }
    return {};
}

bool is_sandbox_name(const std::string& name) {
    return name.starts_with(kPrefix) && name.size() == kPrefix.size() + kDigits &&
           name.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string::npos;
}

Result<std::unique_ptr<Sandbox>> Sandbox::make(const SandboxOrder& order, const env::Env& env,
                                               const env::Context& context) {
    const bool is_new_work = !env.files.exists(order.work);
    if (is_new_work) AETERNA_TRY(env.files.make_directories(order.work, order.user ? 0755 : 0700));
    AETERNA_TRY(check_owner(order.work, env));
    AETERNA_ASSIGN(const WorkLock lock, WorkLock::take(order.work, env, context));
    AETERNA_ASSIGN(const std::size_t dead, sweep(order, env));
    std::string path;
    do {
        path = fmt::format("{}/{}{:08x}", order.work, kPrefix, static_cast<std::uint32_t>(env.random.next()));
    } while (env.files.exists(path));
    std::unique_ptr<Sandbox> made(new Sandbox(order, path, env));
    made->removed_dead_ = dead;
    made->made_work_ = is_new_work;
    AETERNA_TRY(furnish(path, order.user.has_value(), env));
    if (order.user) AETERNA_TRY(check_reachable(path, *order.user, env, context));
    return made;
}

Sandbox::~Sandbox() {
    if (!is_removed_) (void)remove();
}

Status Sandbox::remove() {
    AETERNA_TRY(end_and_remove(path_, order_.programs, env_));
    is_removed_ = true;
    // Not empty: somebody else uses it by now.
    if (made_work_) (void)env_.files.remove(order_.work);
    return {};
}

Result<std::size_t> remove_dead_sandboxes(const SandboxOrder& order, const env::Env& env, const env::Context& context) {
    if (!env.files.exists(order.work)) return std::size_t{0};
    AETERNA_ASSIGN(const WorkLock lock, WorkLock::take(order.work, env, context));
    return sweep(order, env);
}

}  // namespace aeterna::engine
