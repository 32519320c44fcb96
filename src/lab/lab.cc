// See lab.h.
#include "lab/lab.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "lab/backups.h"
#include "lab/place.h"
#include "lab/readiness.h"
#include "lab/server_config.h"
#include "lab/startup.h"

namespace aeterna::lab {
namespace {

constexpr Duration kStatusTime = 2s;
constexpr Duration kDownTime = 60s;

Status settle_qdrant(Layout& layout, const std::string& option, bool is_new, const env::Env& env,
                     std::vector<std::string>& notes) {
    AETERNA_ASSIGN(const std::string found, find_qdrant(option, env));
    if (is_new) {
        layout.qdrant_program = found;
    } else if (!option.empty() && found != layout.qdrant_program) {
        return make_error(
            ErrorCode::kUsage,
            fmt::format("this lab was made with {}", layout.has_real_qdrant()
                                                         ? "'" + layout.qdrant_program + "'"
                                                         : std::string("the Qdrant stand-in")),
            "Their data does not fit: 'aeterna-dr lab down --purge' first.");
    } else if (!layout.has_real_qdrant() && !found.empty()) {
        notes.push_back(fmt::format(
            "a real Qdrant is at '{}'; a new lab (lab down --purge) will use it", found));
    }
    if (!layout.has_real_qdrant()) notes.push_back("qdrant: STAND-IN, not a real Qdrant");
    return {};
}

// Debian's unless another one is named; a lab keeps the one that it was made with.
Status settle_patroni(Layout& layout, const std::string& option, bool is_new, const env::Env& env) {
    if (option.empty() && !is_new) return {};
    std::string program;
    if (!option.empty()) {
        AETERNA_ASSIGN(program, find_patroni(option, env));
    }
    if (is_new) layout.patroni_program = program;
    if (layout.patroni_program == program) return {};
    return make_error(ErrorCode::kUsage,
                      fmt::format("this lab was made with {}",
                                  layout.patroni_program.empty()
                                      ? std::string("Debian's Patroni")
                                      : "'" + layout.patroni_program + "'"),
                      "'aeterna-dr lab down --purge' first, or give another --dir.");
}

// A first start that was killed may have left a PostgreSQL without its roles, which Patroni takes
// for a whole one when it is started again. Nobody has used this lab yet: what lies there is
// removed, unless it still runs.
Status discard_halfway(const Layout& layout, const env::Env& env) {
    if (layout.initialized || !Supervisor(layout, env).processes().empty()) return {};
    for (const char* folder : {"data", "etc", "run", "repository"})
        AETERNA_TRY(env.files.remove_tree(layout.path(folder)));
    return {};
}

Result<UpResult> start_only(const UpOptions& options, const env::Env& env,
                            const env::Context& context) {
    UpResult result;
    AETERNA_ASSIGN(result.layout, load_layout(options.directory, env));
    AETERNA_TRY(claim_directory(options.directory, env));
    std::string name = options.only;
    if (name.starts_with("postgres-")) name = "patroni-" + name.substr(9);
    const auto node = result.layout.find(name);
    if (!node)
        return make_error(ErrorCode::kNotFound,
                          fmt::format("no node '{}' in this lab", options.only),
                          "'aeterna-dr lab status' lists them.");
    AETERNA_ASSIGN(const Programs programs, find_programs(env));
    AETERNA_ASSIGN(const Secrets secrets, Secrets::load_or_make(result.layout, env, std::nullopt));
    AETERNA_ASSIGN(const bool is_new,
                   Supervisor(result.layout, env).start(*node, secrets, programs, context));
    result.started = is_new ? 1 : 0;
    return result;
}

Json node_json(const NodeState& state) {
    const Node& node = state.node;
    return Json{
        {"name", node.name},
        {"kind", node.kind},
        {"store", node.store.empty() ? Json(nullptr) : Json(node.store)},
        {"site", node.site},
        {"address", node.address.to_string()},
        {"pid", state.process ? Json(state.process->pid) : Json(nullptr)},
        {"data_dir", node.data_directory.empty() ? Json(nullptr) : Json(node.data_directory)},
        {"server", node.server}};
}

// The superuser: whoever asks a lab for its credentials wants to look at everything. Our own role
// is in stack.yaml.
Json credentials(const Layout& layout, const env::Env& env) {
    const auto secret = [&](const char* name) {
        const auto text = env.files.read(layout.secret_file(name), 4096);
        return text ? Json(std::string(trim(*text))) : Json(nullptr);
    };
    return Json{{"postgres",
                 {{"user", "postgres"},
                  {"password", secret("postgres_superuser")},
                  {"database", kDatabase}}},
                {"redis", {{"password", secret("redis")}}},
                {"qdrant", {{"api_key", secret("qdrant")}}}};
}

}  // namespace

std::string default_directory(const env::Env& env) {
    return fmt::format("/var/tmp/aeterna-dr-{}/lab", env.processes.effective_uid());
}

Result<UpResult> up(const UpOptions& given, const env::Env& env, const env::Context& context) {
    UpOptions options = given;
    options.directory = canonical_directory(given.directory, env);
    if (!options.progress) options.progress = [](const std::string&) {};
    if (!options.only.empty()) return start_only(options, env, context);

    const MonoTime begin = env.clock.now();
    AETERNA_ASSIGN(const Programs programs, find_programs(env));
    if (given.directory.empty())
        AETERNA_TRY(claim_directory(
            fmt::format("/var/tmp/aeterna-dr-{}", env.processes.effective_uid()), env));
    AETERNA_TRY(claim_directory(options.directory, env));
    AETERNA_ASSIGN(const auto lock, lock_lab(options.directory, env));
    UpResult result;
    AETERNA_ASSIGN(result.layout, load_or_choose_layout(options.directory, env, context));
    AETERNA_TRY(Supervisor(result.layout, env).end_unrecorded(options.progress, context));
    const bool is_new = !result.layout.initialized && Supervisor(result.layout, env).processes().empty();
    AETERNA_TRY(settle_qdrant(result.layout, options.qdrant, is_new, env, result.notes));
    AETERNA_TRY(settle_patroni(result.layout, options.patroni, is_new, env));
    result.layout.synchronous = result.layout.synchronous || options.synchronous;
    AETERNA_TRY(save_layout(result.layout, env));
    AETERNA_TRY(discard_halfway(result.layout, env));
    AETERNA_ASSIGN(const Secrets secrets, write_files(result.layout, programs, env, context));
    AETERNA_TRY(prepare_repository(result.layout, env, context));
    options.progress(
        fmt::format("lab in {}, on 127.0.{}.*", options.directory, result.layout.subnet));

    Startup startup(result.layout, secrets, programs, env, options.progress);
    AETERNA_TRY(startup.run(context));
    result.layout.initialized = true;
    AETERNA_TRY(save_layout(result.layout, env));
    result.is_serve_running = startup.start_serve(context);
    if (!result.is_serve_running)
        result.notes.push_back(
            fmt::format("serve did not start; its log is '{}'", result.layout.log_file("serve")));
    result.started = startup.started();
    result.seconds = to_seconds(env.clock.now() - begin);
    return result;
}

Status down(const std::string& given, bool is_purge, const Progress& progress, const env::Env& env,
            const env::Context& context) {
    const std::string directory = canonical_directory(given, env);
    std::unique_ptr<env::FileLock> lock;
    auto layout = load_layout(directory, env);
    if (layout) {
        AETERNA_TRY(claim_directory(directory, env));
        AETERNA_ASSIGN(lock, lock_lab(directory, env));
    } else if (layout.error().code != ErrorCode::kNotFound) {
        return layout.error();
    } else {
        // Somebody removed the directory under a running lab: the marker still names its processes.
        layout = Layout();
        layout->directory = directory;
    }
    AETERNA_TRY(Supervisor(*layout, env).stop_all(progress, env.clock.within(kDownTime, context)));
    if (is_purge) AETERNA_TRY(purge(directory, env));
    return {};
}

Result<LabStatus> status(const std::string& given, const env::Env& env,
                         const env::Context& context) {
    LabStatus status;
    status.directory = canonical_directory(given, env);
    status.document = Json{{"dir", status.directory},
                           {"up", false},
                           {"nodes", Json::array()},
                           {"credentials", Json::object()}};
    auto layout = load_layout(status.directory, env);
    if (!layout && layout.error().code != ErrorCode::kNotFound) return layout.error();
    if (!layout) {
        status.reasons.push_back(layout.error().message);
        return status;
    }
    status.exists = true;
    const Supervisor supervisor(*layout, env);
    bool is_any = false;
    bool is_serve = false;
    for (const Node& node : layout->nodes()) {
        NodeState state{node, supervisor.running(node), '?'};
        if (state.process)
            if (const auto process = env.processes.inspect(state.process->pid))
                state.state = process->state;
        if (node.kind == "serve") is_serve = state.process.has_value();
        if (state.process) is_any = true;
        if (!state.process) status.reasons.push_back(node.name + " does not run");
        if (state.state == 'T') status.reasons.push_back(node.name + " is paused");
        status.nodes.push_back(state);
        status.document["nodes"].push_back(node_json(state));
    }
    status.document["credentials"] = credentials(*layout, env);
    if (is_any) {
        AETERNA_ASSIGN(const Programs programs, find_programs(env));
        AETERNA_ASSIGN(const Secrets secrets, Secrets::load_or_make(*layout, env, std::nullopt));
        for (std::string& reason :
             check_all({*layout, secrets, env}, is_serve, kStatusTime, context))
            status.reasons.push_back(std::move(reason));
    }
    status.is_up = status.reasons.empty();
    status.document["up"] = status.is_up;
    return status;
}

}  // namespace aeterna::lab
