// The decision in the facts, and the way to the hosts.
#include "redis/steps/assist.h"

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "redis/steps/return_guard.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

class StackHands final : public Hands {
  public:
    StackHands(const config::Stack& stack, const env::Env& env) : stack_(stack), env_(env) {}

    Result<hosts::Executor*> executor_of(const RedisNode& node) override {
        const config::Host* host = stack_.host_of(node.name);
        if (!host)
            return make_error(ErrorCode::kConfiguration,
                              "no host of the stack file lists '" + node.name + "'",
                              "Add it under hosts.processes.");
        auto& executor = executors_[host->name];
        if (!executor) {
            AETERNA_ASSIGN(executor, hosts::make_executor(*host, env_));
        }
        return executor.get();
    }

    bool can_fence(const RedisNode& node) override {
        return executor_of(node) && stack_.host_of(node.name)->can_hold(node.name);
    }

    bool has_files_of(const RedisNode& node) const override {
        const config::Host* host = stack_.host_of(node.name);
        return !node.config_file.empty() && host && host->executor == "local";
    }

  private:
    const config::Stack& stack_;
    const env::Env& env_;
    std::map<std::string, std::unique_ptr<hosts::Executor>> executors_;
};

}  // namespace

std::shared_ptr<Hands> make_hands(const config::Stack& stack, const env::Env& env) {
    return std::make_shared<StackHands>(stack, env);
}

bool is_going(const Json& facts) { return find_string(facts, kDecision) == "go"; }

bool is_by_hand(const Json& facts) { return find_boolean(facts, kByHand).value_or(false); }

bool is_fenced(const Json& facts, const std::string& node) {
    const Json* fenced = find_member(facts, kFenced);
    return fenced && fenced->is_array() &&
           std::find(fenced->begin(), fenced->end(), Json(node)) != fenced->end();
}

Result<const RedisNode*> named_master(Cluster& cluster, const engine::StepContext& step) {
    const auto promoted = find_string(step.facts, kNewMaster);
    const RedisNode* node = promoted ? cluster.settings().find_node(*promoted) : nullptr;
    if (node && is_by_hand(step.facts)) return node;
    auto named = cluster.majority_master_node(step.context);
    if (!named && node && find_boolean(step.facts, kFewSentinels).value_or(false)) return node;
    return named;
}

void refuse_assist(engine::StepContext& step, const std::vector<std::string>& reasons) {
    step.facts[kDecision] = "stay";
    step.facts[kAssist] = "refused";
    step.facts[kAssistReasons] = reasons;
    step.progress("no assist: " + join(reasons, "; "));
}

void note_promotion(engine::StepContext& step, const RedisNode& promoted, const env::Clock& clock) {
    step.facts[kNewMaster] = promoted.name;
    step.facts[kAssist] = "acted";
    step.facts[kAssistActedAt] =
        find_string(step.facts, kOrderedAt).value_or(format_time(clock.wall_now()));
}

void stand_down(Acting& acting) {
    if (acting.guard) acting.guard->release();
    acting.guard.reset();
}

Status look_for_fence(engine::ForeignFenceWatch& watch, const Acting& acting, const RedisNode& node,
                      const engine::StepContext& step) {
    const auto executor = acting.hands->executor_of(node);
    return executor ? watch.look(**executor, {node.name}, step, acting.cluster->env().clock.now()) : Status();
}

ReturnGuard& guard_of(Acting& acting, const RedisNode& old_master, const std::string& execution) {
    if (!acting.guard) {
        const std::string directory = acting.salvage_directory(execution);
        acting.guard = acting.guards->of(old_master, directory);
        acting.guard->arm(directory);
    }
    return *acting.guard;
}

Acting::~Acting() {
    if (guard) guard->disarm();
}

}  // namespace aeterna::redis
