#include "scenario.h"

#include <fmt/format.h>

#include "scenario_stage.h"

namespace aeterna::sim {
namespace {

constexpr Duration kBegin = std::chrono::seconds(12);  // the cluster stands, and its agents have looped
constexpr Duration kScenarioLookEvery = std::chrono::milliseconds(100);
// What was begun is let arrive: a row under way, a connection that breaks.
constexpr Duration kSettling = std::chrono::milliseconds(1100);

Duration seconds_of(const Json& step, const char* key) {
    const Json* value = find_member(step, key);
    return value && value->is_number() ? std::chrono::milliseconds(static_cast<int>(value->get<double>() * 1000))
                                       : Duration{};
}

class Play {
  public:
    Play(const Json& scenario, std::uint64_t seed) : scenario_(scenario), world_(seed) {
        stage_ = find_string(scenario, "store") == "redis" ? make_redis_stage(world_, scenario)
                                                           : make_postgres_stage(world_, scenario);
    }

    ScenarioResult go() {
        // At a random instant of the agents' loops.
        pass(kBegin + world_.rng().between(0s, 10s));
        if (auto nodes = stage_->name_nodes()) nodes_ = std::move(*nodes);
        else fail("the cluster did not stand: " + stage_->describe());
        done_at_ = world_.now();
        for (const Json& step : scenario_.at("steps")) {
            if (!result_.failures.empty() || !take(step)) break;
        }
        world_.processes.end_all();
        world_.scheduler.drain();
        return std::move(result_);
    }

  private:
    void pass(Duration time) { static_cast<void>(world_.scheduler.run_until(world_.now() + time)); }

    bool take(const Json& step) {
        if (step.contains("do")) {
            for (const Json& what : step.at("what")) stage_->act(step.at("do"), what, nodes_.at(step.at("of")));
            done_at_ = world_.now();
            return true;
        }
        if (step.contains("pass")) return pass(seconds_of(step, "pass")), true;
        return step.contains("expect") ? expect(step) : keep(step);
    }

    bool expect(const Json& step) {
        const std::string fact = step.at("expect"), value = step.at("is");
        while (!holds(fact, value)) {
            if (world_.now() - done_at_ > seconds_of(step, "within")) {
                fail(fmt::format("{} is not {} within {:.0f} s: {}", fact, value,
                                 to_seconds(seconds_of(step, "within")), stage_->describe()));
                return false;
            }
            pass(kScenarioLookEvery);
        }
        const Duration took = world_.now() - done_at_;
        result_.told.push_back(fmt::format("{} is {} after {:.1f} s", fact, value, to_seconds(took)));
        if (took >= seconds_of(step, "after")) return true;
        fail(fmt::format("{} is {} after {:.1f} s already", fact, value, to_seconds(took)));
        return false;
    }

    bool keep(const Json& step) {
        const std::string fact = step.at("keep"), value = step.at("is");
        pass(kSettling);
        for (const MonoTime end = world_.now() + seconds_of(step, "seconds"); world_.now() < end; pass(kScenarioLookEvery)) {
            if (holds(fact, value)) continue;
            fail(fmt::format("{} is not {} {:.1f} s after the last act: {}", fact, value,
                             to_seconds(world_.now() - done_at_), stage_->describe()));
            return false;
        }
        return true;
    }

    [[nodiscard]] bool holds(const std::string& fact, const std::string& value) {
        const auto answer = stage_->holds(fact, value, nodes_);
        if (!answer) fail("unknown fact '" + fact + "'");
        return answer.value_or(true);
    }

    void fail(std::string what) { result_.failures.push_back(std::move(what)); }

    const Json& scenario_;
    World world_;
    std::unique_ptr<Stage> stage_;
    std::map<std::string, int> nodes_;
    MonoTime done_at_{};
    ScenarioResult result_;
};

}  // namespace

ScenarioResult run_scenario(const Json& scenario, std::uint64_t seed) { return Play(scenario, seed).go(); }

}  // namespace aeterna::sim
