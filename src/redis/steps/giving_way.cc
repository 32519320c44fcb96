// Keeping, turning, listing.
#include "redis/steps/giving_way.h"

#include "base/strings.h"
#include "redis/steps/support.h"
#include "redis/steps/tail.h"

namespace aeterna::redis {
namespace {

constexpr Duration kGivingWay = 5s;

const RedisNode* named_by(const Acting& acting, const Json& facts, const char* key) {
    const auto name = find_string(facts, key);
    return name ? acting.cluster->settings().find_node(*name) : nullptr;
}

// Its word would cost all that the promoted one has.
bool is_emptied_beside(Acting& acting, const RedisNode& old, const engine::StepContext& step) {
    const RedisNode* promoted = named_by(acting, step.facts, kNewMaster);
    if (!promoted) promoted = named_by(acting, step.facts, kGivesWay);
    if (!promoted) return false;
    const auto theirs = acting.cluster->info(*promoted, step.context);
    const auto own = acting.cluster->info(old, step.context);
    return theirs && theirs->is_master && own && has_next_to_nothing(*own, *theirs);
}

class GivingWay {
  public:
    GivingWay(Acting& acting, engine::StepContext& step, const RedisNode& promoted)
        : acting_(acting), cluster_(*acting.cluster), step_(step), promoted_(promoted) {}

    // Whom the Sentinels do not name is resynced by them within seconds, whatever it has taken: what that is, is kept first.
    // A promoted replica counts it from its promotion on. What cannot be kept is left to them.
    void carry_out(const RedisNode& old) {
        const auto role = cluster_.role(promoted_, brief());
        if (role && !role->is_master()) return finish();
        if (!is_taken_back(acting_, step_)) return refuse("the old master is not taken back any more");
        if (!keep_its_writes()) return list_what_is_kept();
        // Keeping took a while, in which the Sentinels may have changed their mind.
        const Status turned = is_taken_back(acting_, step_)
                                  ? demote(cluster_, promoted_, old, step_.facts, brief())
                                  : make_error(ErrorCode::kGuardRefused, "the old master is not taken back any more");
        if (turned) return;
        refuse(one_line(turned.error().to_string()));
        if (turned.error().code == ErrorCode::kGuardRefused)
            static_cast<void>(cluster_.order(promoted_, {"CLIENT", "UNPAUSE"}, brief()));
    }

  private:
    env::Context brief() const { return cluster_.env().clock.within(kGivingWay, step_.context); }

    void refuse(const std::string& why) { step_.progress("'" + promoted_.name + "' does not give way: " + why); }

    // Turned already, by us before we died or by the Sentinels: our pause of it may still be in force.
    void finish() {
        list_what_is_kept();
        static_cast<void>(cluster_.order(promoted_, {"CLIENT", "UNPAUSE"}, brief()));
        static_cast<void>(cluster_.order(promoted_, {"CONFIG", "REWRITE"}, brief()));
    }

    bool is_lost(const std::string& reason) {
        step_.progress("what '" + promoted_.name + "' took could not be kept: " + one_line(reason));
        return false;
    }

    // The pause stays where it fails: the Sentinels turn it meanwhile, and what it took until then would be lost.
    bool keep_its_writes() {
        const env::Context context = brief();
        if (const Status paused = pause_writes(cluster_, promoted_, context); !paused) return is_lost(paused.error().to_string());
        const auto info = cluster_.info(promoted_, context);
        if (!info) return is_lost(info.error().to_string());
        if (!info->is_master || info->second_offset < 0) return is_lost("it does not say what that is");
        const auto kept = salvage_stream(node_target(cluster_.settings(), promoted_),
                                         {info->replid, info->second_offset, info->master_offset}, directory(),
                                         cluster_.env(), context);
        if (!kept) return is_lost(kept.error().to_string());
        note_kept(*kept);
        return true;
    }

    // Kept by a process that died before its facts were journaled.
    void list_what_is_kept() {
        if (find_member(step_.facts, kSalvaged)) return;
        if (const auto kept = find_kept_writes(promoted_.name, directory(), cluster_.env().files)) note_kept(*kept);
    }

    void note_kept(const Salvaged& kept) {
        step_.facts[kSalvaged] = to_json(kept);
        step_.progress("salvaged: " + kept.summary);
    }

    std::string directory() const { return acting_.salvage_directory(step_.context.run_id); }

    Acting& acting_;
    Cluster& cluster_;
    engine::StepContext& step_;
    const RedisNode& promoted_;
};

}  // namespace

bool is_taken_back(Acting& acting, const engine::StepContext& step) { return !acting.guard && serves_by_majority(acting, step); }

bool serves_by_majority(Acting& acting, const engine::StepContext& step) {
    const RedisNode* old = named_by(acting, step.facts, kOldMaster);
    const bool is_held = !old || is_fenced(step.facts, old->name);
    if (is_held || find_string(step.facts, kDeathForm) == "empty") return false;
    const auto role = acting.cluster->role(*old, step.context);
    if (!role || !role->is_master()) return false;
    return acting.cluster->is_named_by_majority(*old, step.context) && !is_emptied_beside(acting, *old, step);
}

bool decide_to_give_way(Acting& acting, engine::StepContext& step) {
    refuse_assist(step, {"the old master is back, and a majority of the Sentinels names it"});
    const env::Context brief = acting.cluster->env().clock.within(kGivingWay, step.context);
    const RedisNode* promoted = find_promoted(*acting.cluster, step.facts, brief);
    // Turned already, by a process that died before it could say so.
    if (!promoted) promoted = named_by(acting, step.facts, kNewMaster);
    for (const char* fact : {kByHand, kNewMaster}) step.facts.erase(fact);
    if (promoted) step.facts[kGivesWay] = promoted->name;
    return promoted != nullptr;
}

void give_way(Acting& acting, engine::StepContext& step) {
    const RedisNode* old = named_by(acting, step.facts, kOldMaster);
    const RedisNode* promoted = named_by(acting, step.facts, kGivesWay);
    if (old && promoted) GivingWay(acting, step, *promoted).carry_out(*old);
}

bool give_way_if_taken_back(Acting& acting, engine::StepContext& step) {
    if (!is_taken_back(acting, step)) return false;
    if (decide_to_give_way(acting, step)) give_way(acting, step);
    return true;
}

}  // namespace aeterna::redis
