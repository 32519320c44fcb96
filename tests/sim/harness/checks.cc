// The deeds of the controllers as they happen; what is left at the end stands in checks_end.cc.
#include "harness/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::sim {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(100);
// Several SIGKILLs of one fence.
constexpr Duration kOneFence = std::chrono::seconds(6);
// A maintenance window that was opened so long before is known to whoever begins.
constexpr Duration kWindowKnown = std::chrono::seconds(6);
// If nobody was elected in that time, the old primary may be let go again.
constexpr Duration kHeldDown = std::chrono::seconds(30);
constexpr const char* kActorKey = "/aeterna-dr/lab/actor";

// It runs, or is named as the one for whom it was done: its end may have come before we looked.
bool is_acting(const engine::ExecutionRecord& execution, const std::string& did) {
    return execution.state == engine::ExecutionState::kRunning || did.find(execution.id) != std::string::npos;
}

}  // namespace

Checks::Checks(World& world, Cluster& cluster, Crew& crew, const std::string& assist)
    : world_(world),
      cluster_(cluster),
      crew_(crew),
      controllers_(crew.controllers()),
      assist_(assist),
      truth_(world, cluster, crew.controllers()) {
    cluster_.etcd().on_client_change = [this](const auto& change) { key_changed(change); };
    for (int i = 0; i < Cluster::kNodes; ++i) {
        cluster_.postgres(i).on_write = [this](const models::Postgres& server, const models::WalRecord&) {
            written(server);
        };
    }
    world_.processes.on_signal = [this](Process& from, const Process& to, int number) { signalled(from, to, number); };
    cluster_.on_forced_start = [this](int node) { forced_[node] = world_.now(); };
    cluster_.on_start_program = [this](int node, const Process& caller) { program_started(node, caller); };
    look();
}

void Checks::look() {
    truth_.refresh();
    look_at_executions();
    look_at_markers();
    look_at_releases();
    world_.scheduler.after(kLookEvery, [this] { look(); });
}

void Checks::violated_by_fence(std::size_t controller, const std::string& did, const std::vector<std::string>& why) {
    violated_by(fmt::format("controller {}", controller + 1), did, why);
}

void Checks::violated_by(const std::string& who, const std::string& did, const std::vector<std::string>& why) {
    if (!why.empty()) violated(fmt::format("{} {}, but {}", who, did, join(why, "; ")));
}

std::optional<std::size_t> Checks::owner(const Process& process) const {
    const int found = crew_.owner(process);
    return found < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(found));
}

int Checks::node_of(const Process& process) const {
    for (int i = 0; i < Cluster::kNodes; ++i) {
        if (process.host == &cluster_.host(i)) return i;
    }
    return -1;
}

// What a person has started past the marker is no longer ours to hold down, until we kill it again; who leads then is
// for Patroni to say, by the key.
bool Checks::is_forced(int node, MonoTime from) const {
    const auto found = forced_.find(node);
    return found != forced_.end() && found->second >= from;
}

// --- The leader key ------------------------------------------------------------------------------

void Checks::key_changed(const models::Etcd::ClientChange& change) {
    const auto controller = owner(change.client);
    if (!controller) return;
    const models::EtcdKey* actor = change.after.find(kActorKey);
    const models::EtcdKey* before = change.before.find(kActorKey);
    if (actor != nullptr && (before == nullptr || before->lease != actor->lease)) {
        actors_[actor->lease] = &change.client;
    }
    const std::string path = cluster_.settings().prefix + "leader";
    const models::EtcdKey* had = change.before.find(path);
    const models::EtcdKey* has = change.after.find(path);
    const bool is_same = had == nullptr || (has != nullptr && has->value == had->value && has->lease == had->lease);
    if (!is_same) released(change, *controller, had->value);
}

void Checks::released(const models::Etcd::ClientChange& change, std::size_t controller, const std::string& member) {
    ++release_count_;
    releases_[member] = {world_.now(), true, true};
    const std::string did = "released the leader key of " + member;
    world_.trace(fmt::format("{} {}", change.client.command, did));
    const int node = member.back() - '1';
    truth_.refresh();
    std::vector<std::string> why = truth_.refusals(node, controller, change.sent_at);
    const std::string running = truth_.running_of(node);
    // Of a start by force after the last look nobody knew; the key's revision forbids it once that one has written it.
    const bool is_unknown = is_forced(node, change.sent_at - Truth::kKnown) && !cluster_.postgres(node).is_running();
    if (!running.empty() && !is_unknown) why.push_back(running + " ran");
    const models::EtcdKey* actor = change.after.find(kActorKey);
    const auto holder = actor == nullptr ? actors_.end() : actors_.find(actor->lease);
    if (holder == actors_.end() || holder->second != &change.client) why.emplace_back("it did not hold the actor lock");
    look_at_markers();
    const bool is_held_down = std::any_of(markers_.begin(), markers_.end(), [&](const auto& marker) {
        return marker.first.starts_with(fmt::format("patroni-{} by", node + 1));
    });
    if (!is_held_down) why.emplace_back("nothing kept it from being started");
    violated_by(change.client.command, did, why);
    check_leave(controller, did);
}

// The one whose key we took may write again once it holds the key anew; a fenced one does not write.
void Checks::written(const models::Postgres& server) {
    const int node = server.name().back() - '1';
    const auto fence = fences_.find(node);
    if (fence != fences_.end() && fence->second.at != MonoTime::max() && !is_forced(node, fence->second.at)) {
        const Controller& controller = *controllers_[fence->second.controller];
        for (const auto& [id, execution] : controller.pages().executions) {
            const bool is_ours = find_boolean(execution.facts, "fence.confirmed").value_or(false) &&
                                 execution.facts.contains("fenced") &&
                                 find_string(execution.facts, "old_primary") == server.name();
            if (!is_ours || !markers_.contains(fmt::format("postgres-{} by {}", node + 1, id))) continue;
            violated(fmt::format("{} wrote while the fence of {} was confirmed", server.name(), id));
            fence->second.at = MonoTime::max();
        }
    }
    const auto found = releases_.find(server.name());
    if (found == releases_.end() || !found->second.is_open) return;
    found->second.is_open = false;  // once is enough
    const models::EtcdKey* key = cluster_.etcd().store().find(cluster_.settings().prefix + "leader");
    if (key != nullptr && key->value == server.name()) return;
    violated(fmt::format("{} wrote after its leader key had been released by us at {:.3f} s", server.name(),
                         age_of(found->second.at)));
}

// Held down until somebody leads, or as long as that may take.
void Checks::look_at_releases() {
    const models::EtcdKey* key = cluster_.etcd().store().find(cluster_.settings().prefix + "leader");
    for (auto& [member, release] : releases_) {
        if (!release.is_held) continue;
        const int node = member.back() - '1';
        const std::string running = truth_.running_of(node);
        const bool is_over = key != nullptr || world_.now() - release.at > kHeldDown;
        if (is_over || is_forced(node, release.at - Truth::kKnown)) release.is_held = false;
        if (!release.is_held || running.empty()) continue;
        release.is_held = false;
        violated(fmt::format("{} runs, whose leader key was released at {:.3f} s, and nobody leads yet", running,
                             age_of(release.at)));
    }
}

// --- Signals, markers, starts --------------------------------------------------------------------

void Checks::signalled(const Process& from, const Process& to, int number) {
    const auto controller = owner(from);
    const int node = node_of(to);
    if (!controller || number != SIGKILL) return;
    forced_.erase(node);
    ++kills_;
    const auto fence = fences_.find(node);
    const bool is_same = fence != fences_.end() && fence->second.controller == *controller &&
                         world_.now() - fence->second.at < kOneFence;
    if (node < 0 || is_same) return;
    fences_[node] = {*controller, world_.now()};
    const std::string did = "killed " + to.command + fmt::format(" of host-{}", node + 1);
    truth_.refresh();
    std::vector<std::string> why = truth_.refusals(node, *controller, world_.now());
    for (std::string& line : truth_.against_killing(node, *controller)) why.push_back(std::move(line));
    const models::EtcdKey* lock = cluster_.etcd().store().find(kActorKey);
    const auto holder = lock == nullptr ? actors_.end() : actors_.find(lock->lease);
    if (holder != actors_.end() && holder->second != &from) why.emplace_back("another one held the actor lock");
    violated_by_fence(*controller, did, why);
    check_leave(*controller, did);
}

void Checks::look_at_markers() {
    std::map<std::string, std::size_t> present;
    for (std::size_t i = 0; i < cluster_.fence_directories.size(); ++i) {
        const std::string& directory = cluster_.fence_directories[i];
        for (const std::string& node : world_.disk.list(directory)) {
            for (const std::string& holder : world_.disk.list(directory + "/" + node)) {
                const std::string name = node + " by " + holder;
                present[name] = i;
                if (!markers_.contains(name)) marker_found(node, holder, i);
            }
        }
    }
    markers_ = std::move(present);
}

void Checks::marker_found(const std::string& node, const std::string& holder, std::size_t directory) {
    if (!node.starts_with("patroni-")) return;
    const std::string did = fmt::format("fenced {} for {}", node, holder);
    // It may have been written up to a look ago, and begun before that: what counts held then and still holds.
    const int number = node.back() - '1';
    const std::vector<std::string> now = truth_.refusals(number, directory, world_.now());
    std::vector<std::string> why = truth_.refusals(number, directory, world_.now() - kLookEvery - crew_.marker_took(node, holder));
    std::erase_if(why, [&](const std::string& line) { return std::find(now.begin(), now.end(), line) == now.end(); });
    violated_by_fence(directory, did, why);
    check_leave(directory, did);
}

void Checks::program_started(int node, const Process& caller) {
    const models::Postgres& server = cluster_.postgres(node);
    const bool is_adopted = server.is_primary() && !server.is_starting() && !cluster_.patroni(node).is_running();
    const auto by = owner(caller);
    // What its own fence has killed it has to bring back, whatever was ordered since.
    const auto fence = fences_.find(node);
    const bool is_brought_back = by && fence != fences_.end() && fence->second.controller == *by;
    truth_.refresh();
    if (by && !is_brought_back && is_adopted && truth_.was_paused(world_.now())) {
        violated(fmt::format("{} started patroni-{}, but the cluster was paused", caller.command, node + 1));
    }
}

// --- Who may act ---------------------------------------------------------------------------------

void Checks::look_at_executions() {
    // Held anew, by its agent: what it writes from then on, late as it may be, is Patroni's to answer for.
    const models::EtcdKey* leader = cluster_.etcd().store().find(cluster_.settings().prefix + "leader");
    const auto release = leader != nullptr ? releases_.find(leader->value) : releases_.end();
    if (release != releases_.end()) release->second.is_open = false;
    for (const auto& controller : controllers_) {
        for (const auto& [id, execution] : controller->pages().executions) begun_.try_emplace(id, world_.now());
    }
}

// One running execution with the leave to act, begun outside of every maintenance window.
void Checks::check_leave(std::size_t controller, const std::string& did) {
    const Controller& actor = *controllers_[controller];
    bool may_act = false;
    std::vector<std::string> why;
    for (const auto& [id, execution] : controllers_[controller]->pages().executions) {
        if (!is_acting(execution, did)) continue;
        const bool may_by_itself = assist_ == "act" && find_string(execution.parameters, "assist") == "act";
        if (!may_by_itself && !crew_.has_approved(static_cast<int>(controller), id)) continue;
        may_act = true;
        const auto begun = begun_.find(id);
        const MonoTime at = begun == begun_.end() ? world_.now() : begun->second;
        const MonoTime life = actor.started_at();
        const bool is_window = truth_.has_window_held(at - kWindowKnown, at) ||
                               (life > at && truth_.has_window_held(life, world_.now()));
        if (is_window) why.push_back(id + " was begun in a maintenance window");
    }
    if (!may_act) why.push_back("no execution of it may act; the stack file says assist: " + assist_);
    violated_by(fmt::format("controller {}", controller + 1), did, why);
}

}  // namespace aeterna::sim
