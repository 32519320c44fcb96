// postgres.rejoin_members
// Does: empties the other members' data directories and lets them start: Patroni makes them anew from the leader; waits
// until each streams. Needs: a confirmed leader, the old primary's data kept. Changes: the other members' data, which
// was the second way back until now. Undo: none. A member that does not come is a proposal, never "done".
//
// They are not rewound: a killed replica's control file may lie before the fork while its pg_wal goes on behind it.
// Patroni 3.0.2 then sees no divergence, and the server replays and shows the rows that were to be gone, and never
// streams (tried).
#include <fmt/format.h>

#include <map>
#include <set>

#include "base/strings.h"
#include "postgres/client/patroni.h"
#include "postgres/steps/assist.h"
#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kRejoinMembersSpec{
    "postgres.rejoin_members", "let the other members follow the restored one", engine::Risk::kDisruptive, 24h, false};

namespace {

// Patroni 3.0.2 may leave a diverged member running that never streams; that shows soon. One that does not run is
// perhaps being rewound, which takes minutes and would be thrown away.
constexpr Duration kRunsInVain = 60s;
constexpr Duration kNeverRuns = 1h;
constexpr Duration kBudget = 6h;
constexpr const char* kEmptied = "restore.emptied";

class RejoinMembers final : public engine::Step {
  public:
    explicit RejoinMembers(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kRejoinMembersSpec; }

    std::string describe() const override {
        std::vector<std::string> names;
        for (const NodeSettings* node : others()) names.push_back("'" + node->name + "'");
        return names.empty()
                   ? "no other member has to follow"
                   : fmt::format("empty {} and let Patroni make them anew from the leader", join(names, " and "));
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        const World world = live_.look(step.context, parts_.candidate);
        return waiting(world).empty() && step.facts.contains("restore.stopped") ? engine::CheckOutcome::kAlreadyDone
                                                                                : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_TRY(require_ways_back(step));
        for (const NodeSettings* node : others()) {
            AETERNA_TRY(empty(step, *node));
            if (const Status started = let_start(parts_, *node, step.context); !started) {
                step.progress(fmt::format("'{}' could not be started: {}", node->agent, started.error().to_string()));
            }
        }
        const MonoTime begun = parts_.env.clock.now();
        std::string told;
        while (true) {
            const World world = live_.look(step.context, parts_.candidate);
            const auto left = waiting(world);
            if (left.empty()) {
                step.progress("all members stream on the new timeline");
                return {};
            }
            const std::string line = "waiting for " + join(left, ", ");
            if (line != told) step.progress(line);
            told = line;
            for (const std::string& name : left) help(step, world, name, begun);
            if (world.now - begun >= kBudget || !live_.pause(step.context)) return propose(left);
        }
    }

    Status verify(engine::StepContext& step) override {
        const auto left = waiting(live_.look(step.context, parts_.candidate));
        return left.empty() ? Status() : Status(propose(left));
    }

  private:
    [[nodiscard]] std::vector<const NodeSettings*> others() const {
        std::vector<const NodeSettings*> found = fence_order(parts_);
        std::erase_if(found, [&](const NodeSettings* node) { return node->name == parts_.candidate; });
        return found;
    }

    [[nodiscard]] std::vector<std::string> waiting(const World& world) const {
        std::vector<std::string> names;
        for (const NodeSettings* node : others()) {
            const auto& sql = world.of(node->name).sql.value;
            const bool follows = sql && sql->in_recovery && world.primary == parts_.candidate &&
                                 world.is_streaming(node->name) && world.timeline(node->name) &&
                                 world.timeline(node->name) == world.timeline(parts_.candidate);
            if (!follows) names.push_back(node->name);
        }
        return names;
    }

    // What is emptied is gone: only while the restored one leads, and what was before is kept.
    Status require_ways_back(engine::StepContext& step) {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        if (!leads(live_.look(step.context, parts_.candidate), parts_)) {
            return make_error(ErrorCode::kAwaitingApproval, fmt::format("'{}' does not lead: the other members' data is left alone", parts_.candidate),
                              "Bring it up, then resume this execution.");
        }
        if (parts_.env.files.exists(place.kept) || find_member(step.facts, kEmptied) != nullptr) return {};
        return make_error(ErrorCode::kAwaitingApproval, fmt::format("the old data '{}' is gone: the other members' is all that is left of it", place.kept),
                          "Make them anew by hand ('unfence' and 'patronictl reinit') when nobody needs it, then resume this execution.");
    }

    Status empty(engine::StepContext& step, const NodeSettings& node) const {
        AETERNA_ASSIGN(const bool is_down, is_held_down(parts_, node, step.context));
        if (!is_down) {
            const Json* emptied = find_member(step.facts, kEmptied);
            // Else it was let go in a former life of this execution.
            if (emptied == nullptr || find_member(*emptied, node.name) == nullptr)
                step.progress(fmt::format("'{}' was let go by somebody: it is not emptied", node.name));
            return {};
        }
        step.facts[kEmptied][node.name] = true;
        AETERNA_ASSIGN(const auto executor, executor_of(parts_.settings, node.name, parts_.env));
        AETERNA_ASSIGN(const std::string data, executor->data_directory(node.name, step.context));
        AETERNA_ASSIGN(const auto names, parts_.env.files.list(data));
        for (const std::string& name : names) AETERNA_TRY(parts_.env.files.remove_tree(data + "/" + name));
        step.progress(fmt::format("'{}' is empty", data));
        return {};
    }

    // Once for each member.
    void help(engine::StepContext& step, const World& world, const std::string& name, MonoTime begun) {
        const auto& rest = world.of(name).rest.value;
        if (rest && rest->is_running()) runs_since_.try_emplace(name, world.now);
        else runs_since_.erase(name);
        const auto runs = runs_since_.find(name);
        const bool is_due =
            (runs != runs_since_.end() && world.now - runs->second >= kRunsInVain) || world.now - begun >= kNeverRuns;
        if (!is_due || !helped_.insert(name).second) return;
        const auto reply = Patroni(parts_.settings, parts_.env).reinitialize(*parts_.settings.find(name), step.context);
        const std::string said = reply ? fmt::format("{} {}", reply->status, reply->text) : reply.error().to_string();
        step.progress(fmt::format("'{}' does not stream by itself: it is made anew from the leader ({})", name, said));
    }

    static Error propose(const std::vector<std::string>& left) {
        return make_error(
            ErrorCode::kAwaitingApproval,
            fmt::format("the restored cluster works, but {} do not stream yet", join(left, " and ")),
            "Look at Patroni's log there, reinitialise the member ('patronictl reinit'), then resume this execution.");
    }

    StepParts parts_;
    Live live_;
    std::map<std::string, MonoTime> runs_since_;
    std::set<std::string> helped_;
};

}  // namespace

std::unique_ptr<engine::Step> make_rejoin_members(StepParts parts) {
    return std::make_unique<RejoinMembers>(std::move(parts));
}

}  // namespace aeterna::postgres
