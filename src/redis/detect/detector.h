// Detector: a pure state machine over snapshots. Each one judges one condition for some subjects and says why.
//
// The base keeps one Hysteresis per subject and the time when its present state began. Nobody fires while we are
// isolated; after a stall of this process a running suspicion starts anew.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/detect/hysteresis.h"
#include "engine/status.h"
#include "redis/detect/observations.h"

namespace aeterna::redis {

class Detector {
  public:
    Detector(std::string name, engine::Severity severity, engine::HysteresisSettings settings)
        : name_(std::move(name)), severity_(severity), settings_(settings) {}
    virtual ~Detector() = default;
    Detector(const Detector&) = delete;
    Detector& operator=(const Detector&) = delete;
    // One finding per subject, clear ones too.
    [[nodiscard]] virtual std::vector<engine::Finding> judge(const Snapshot& snapshot) = 0;

  protected:
    struct Opinion {
        std::optional<bool> condition;  // nothing: cannot be judged now
        bool is_strong = false;         // fires at once
        bool is_suspect = false;        // something is wrong, not proven: shown, no clock runs
        std::string summary;
        std::vector<std::string> reasons;
    };
    [[nodiscard]] engine::Finding settle(const std::string& subject, Opinion opinion, const Snapshot& snapshot);

  private:
    struct Tracked {
        explicit Tracked(engine::HysteresisSettings settings) : hysteresis(settings) {}
        engine::Hysteresis hysteresis;
        engine::FindingState shown = engine::FindingState::kClear;
        WallTime since{};
        std::string summary;
        std::vector<std::string> reasons;
    };

    std::string name_;
    engine::Severity severity_;
    engine::HysteresisSettings settings_;
    std::map<std::string, Tracked> tracked_;
};

// redis.master_down: the supposed master is gone. Fires at once on a refused connection, after 5 s of silence; both
// only with a second vantage (a Sentinel's ping or flag, a replica's link).
[[nodiscard]] std::unique_ptr<Detector> make_master_down();
// redis.master_empty: the master came back without its data or with an older state of it, and its replicas, which still have
// it, are about to copy that.
[[nodiscard]] std::unique_ptr<Detector> make_master_empty();
// redis.odown: a Sentinel reports ODOWN (the seed's signal).
[[nodiscard]] std::unique_ptr<Detector> make_odown();
// redis.sentinel_quorum: CKQUORUM fails, so no failover can happen.
[[nodiscard]] std::unique_ptr<Detector> make_sentinel_quorum();
// redis.sentinels_disagree: answering Sentinels name different masters, longer than a switch takes to spread.
[[nodiscard]] std::unique_ptr<Detector> make_sentinels_disagree();
[[nodiscard]] std::unique_ptr<Detector> make_sentinel_down();
[[nodiscard]] std::unique_ptr<Detector> make_replica_down();
// redis.replication_broken: a replica answers, but its link is down or leads to another master.
[[nodiscard]] std::unique_ptr<Detector> make_replication_broken();
[[nodiscard]] std::unique_ptr<Detector> make_replication_lag();
// redis.two_masters: more than one node says it is master.
[[nodiscard]] std::unique_ptr<Detector> make_two_masters();
// redis.divided: the servers have not agreed who is master for 20 s, longer than Sentinel needs to turn whoever it knows: nobody will end
// it but a person, or `reconcile`.
[[nodiscard]] std::unique_ptr<Detector> make_divided();
// redis.cache_miss_100: no look-up hit anything in the window, of at least 20 (the seed's signal).
[[nodiscard]] std::unique_ptr<Detector> make_cache_miss();
[[nodiscard]] std::unique_ptr<Detector> make_persistence_failed();
// redis.loading: the master loads its data for long; Sentinel counts LOADING as alive and will not act.
[[nodiscard]] std::unique_ptr<Detector> make_loading();

// All of them, in this order.
[[nodiscard]] std::vector<std::unique_ptr<Detector>> make_detectors();

}  // namespace aeterna::redis
