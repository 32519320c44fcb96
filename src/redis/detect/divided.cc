// redis.divided: what detect/division.h finds, when it lasts.
#include "redis/detect/detector.h"
#include "redis/detect/division.h"

#include "base/strings.h"

namespace aeterna::redis {
namespace {

class Divided final : public Detector {
  public:
    // Sentinel turns a master that it knows as a replica after 8 s, and one that came back 10 s after that.
    Divided() : Detector("redis.divided", engine::Severity::kDegraded, {20s, 2s}) {}

    std::vector<engine::Finding> judge(const Snapshot& snapshot) override {
        const Division division = judge_division(*snapshot.settings, answers_in(snapshot), nodes_in(snapshot));
        Opinion opinion;
        if (division.obstacle.empty()) {
            opinion.condition = !division.lines.empty();
            opinion.reasons = division.lines;
            opinion.summary = division.lines.empty() ? "the servers agree that " + division.master->name + " is master"
                                                     : "the servers do not agree that " + division.master->name + " is master";
        } else {
            opinion.summary = division.obstacle;
        }
        return {settle(snapshot.settings->master_name, std::move(opinion), snapshot)};
    }

  private:
    static std::vector<SentinelAnswer> answers_in(const Snapshot& snapshot) {
        std::vector<SentinelAnswer> answers;
        for (const RedisNode& sentinel : snapshot.settings->sentinels) {
            const SentinelOpinion* opinion = fresh_opinion(snapshot, sentinel.name);
            SentinelAnswer answer{sentinel.name, opinion ? std::optional(*opinion) : std::nullopt, std::nullopt};
            const auto record = snapshot.sentinels.find(sentinel.name);
            const bool is_refused = record != snapshot.sentinels.end() && record->second.latest && record->second.latest->error;
            if (!opinion && is_refused) answer.error = record->second.latest->error;
            answers.push_back(std::move(answer));
        }
        return answers;
    }

    static std::vector<NodeLook> nodes_in(const Snapshot& snapshot) {
        std::vector<NodeLook> nodes;
        for (const RedisNode& node : snapshot.settings->nodes) {
            const NodeObservation* seen = fresh_node(snapshot, node.name);
            nodes.push_back({&node, seen ? std::optional(seen->info) : std::nullopt});
        }
        return nodes;
    }
};

}  // namespace

std::unique_ptr<Detector> make_divided() { return std::make_unique<Divided>(); }

}  // namespace aeterna::redis
