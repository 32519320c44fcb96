// Detector: a pure verdict over the World plus hysteresis over time. Each has its own file in
// detect/detectors/ and one line in detectors.cc. A verdict of "nothing" means that it cannot be
// judged now. Only a true condition has words: nobody is told of another one, and there are dozens
// of them in each round.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/detect/hysteresis.h"
#include "engine/status.h"
#include "postgres/detect/world.h"

namespace aeterna::postgres {

struct Verdict {
    std::optional<bool> condition;
    bool strong = false;  // proven: fires without waiting
    std::string summary;
    std::vector<std::string> reasons;  // each names its vantage
    std::optional<Duration>
        fire_after;  // replaces the spec's: it depends on the cluster's settings

    static Verdict clear() { return Verdict{false, false, "", {}, std::nullopt}; }
    static Verdict unknown() { return Verdict{}; }
};

struct DetectorSpec {
    std::string_view name;  // "postgres.primary_down" = detectors/primary_down.cc
    std::string_view help;
    engine::Severity severity;
    Duration fire_after;
    Duration clear_after;
    // One of both. Per node: one finding for each node; else one for the cluster.
    Verdict (*node_verdict)(const World&, const NodeSettings&);
    Verdict (*cluster_verdict)(const World&);
    // False where the stack has nothing for it to look at; no finding then.
    bool (*applies)(const Settings&);
};

// One detector's judgement of one subject over time.
class Track {
  public:
    Track(const DetectorSpec& spec, std::string subject);
    engine::Finding update(const World& world, Verdict verdict);

  private:
    const DetectorSpec& spec_;
    std::string subject_;
    Duration fire_after_;
    engine::Hysteresis hysteresis_;
    engine::Finding last_;
};

// All detectors of one cluster. One thread.
class Detectors {
  public:
    explicit Detectors(const Settings& settings);
    [[nodiscard]] std::vector<engine::Finding> judge(const World& world);

  private:
    struct Watched {
        const DetectorSpec* spec;
        const NodeSettings* node;  // nullptr: the cluster
        Track track;
    };
    std::vector<Watched> watched_;
};

}  // namespace aeterna::postgres
