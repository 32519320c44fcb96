// The replicas and the roles: redis.replica_down, redis.replication_broken, redis.replication_lag, redis.two_masters.
#include <fmt/core.h>

#include "base/strings.h"
#include "redis/detect/detector.h"

namespace aeterna::redis {
namespace {

using engine::Finding;
using engine::Severity;

constexpr std::int64_t kLagBytes = 16 << 20;
constexpr std::int64_t kLagSeconds = 10;

class ReplicaDown final : public Detector {
  public:
    ReplicaDown() : Detector("redis.replica_down", Severity::kDegraded, {1s, 2s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        const auto master = supposed_master(snapshot);
        std::vector<Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes) {
            const ContactState contact = contact_of(snapshot, node.name);
            Opinion opinion;
            if (contact.contact != Contact::kUnknown && master) {
                const bool answers = contact.contact == Contact::kAnswering;
                opinion.condition = !answers && master != node.name;
                opinion.is_suspect = *opinion.condition && contact.contact == Contact::kSilent &&
                                     contact.silent_for < 5s;
                opinion.summary = answers ? node.name + " answers"
                                  : master == node.name ? node.name + " is the master"
                                  : contact.contact == Contact::kBlind
                                      ? node.name + " answers, but not to us"
                                      : "the replica " + node.name + " does not answer";
                if (!contact.reason.empty()) opinion.reasons.push_back(contact.reason);
            }
            findings.push_back(settle(node.name, std::move(opinion), snapshot));
        }
        return findings;
    }
};

class ReplicationBroken final : public Detector {
  public:
    ReplicationBroken() : Detector("redis.replication_broken", Severity::kDegraded, {10s, 2s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        const auto master = working_master(snapshot);
        std::vector<Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes) {
            const NodeObservation* seen = fresh_node(snapshot, node.name);
            Opinion opinion;
            // Without a working master every link is down, which is master_down's business.
            if (seen && master) opinion = opinion_on(node, *seen, *master, *snapshot.settings);
            findings.push_back(settle(node.name, std::move(opinion), snapshot));
        }
        return findings;
    }

  private:
    static Opinion opinion_on(const RedisNode& node, const NodeObservation& seen, const std::string& master,
                              const RedisSettings& settings) {
        Opinion opinion;
        opinion.condition = false;
        opinion.summary = node.name + " replicates";
        if (seen.role.is_master()) return opinion;
        const std::string follows = settings.name_of(seen.role.follows);
        if (follows != master) {
            opinion.condition = true;
            opinion.summary = node.name + " follows " + follows + " instead of " + master;
            opinion.reasons.push_back(node.name + " ROLE: its master is " + follows);
        } else if (!seen.info.is_link_up) {
            opinion.condition = true;
            opinion.summary = node.name + "'s replication link to " + master + " is down";
            opinion.reasons.push_back(fmt::format("{} ROLE: link '{}', down for {} s", node.name,
                                                  one_line(seen.role.link, 20), seen.info.link_down_seconds));
            if (seen.info.is_syncing) opinion.reasons.push_back(node.name + " INFO: a full copy is under way");
        }
        return opinion;
    }
};

class ReplicationLag final : public Detector {
  public:
    ReplicationLag() : Detector("redis.replication_lag", Severity::kDegraded, {10s, 2s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        const auto master = working_master(snapshot);
        const NodeObservation* leader = master ? fresh_node(snapshot, *master) : nullptr;
        std::vector<Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes) {
            Opinion opinion;
            if (leader) opinion = opinion_on(node, *leader, *master);
            findings.push_back(settle(node.name, std::move(opinion), snapshot));
        }
        return findings;
    }

  private:
    static Opinion opinion_on(const RedisNode& node, const NodeObservation& leader, const std::string& master) {
        Opinion opinion;
        opinion.condition = false;
        opinion.summary = node.name + " keeps up";
        for (const ReplicaLine& line : leader.info.replicas) {
            if (line.address != node.address || line.state != "online") continue;
            const std::int64_t behind = std::max<std::int64_t>(0, leader.info.master_offset - line.offset);
            if (behind < kLagBytes && line.lag_seconds < kLagSeconds) continue;
            opinion.condition = true;
            opinion.summary = fmt::format("{} lags {} bytes behind {}", node.name, behind, master);
            opinion.reasons.push_back(fmt::format("{} INFO: {} bytes behind, last acknowledgement {} s ago",
                                                  master, behind, line.lag_seconds));
        }
        return opinion;
    }
};

class TwoMasters final : public Detector {
  public:
    TwoMasters() : Detector("redis.two_masters", Severity::kCritical, {1s, 1s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        Opinion opinion;
        std::vector<std::string> masters;
        std::size_t answering = 0;
        for (const RedisNode& node : snapshot.settings->nodes) {
            const NodeObservation* seen = fresh_node(snapshot, node.name);
            if (!seen) continue;
            ++answering;
            if (!seen->role.is_master()) continue;
            masters.push_back(node.name);
            opinion.reasons.push_back(node.name + " ROLE: master");
        }
        if (answering > 0) {
            opinion.condition = masters.size() > 1;
            opinion.summary = *opinion.condition ? join(masters, " and ") + " are both master"
                                                 : "at most one node is master";
        }
        return {settle(snapshot.settings->master_name, std::move(opinion), snapshot)};
    }
};

}  // namespace

std::unique_ptr<Detector> make_replica_down() { return std::make_unique<ReplicaDown>(); }
std::unique_ptr<Detector> make_replication_broken() { return std::make_unique<ReplicationBroken>(); }
std::unique_ptr<Detector> make_replication_lag() { return std::make_unique<ReplicationLag>(); }
std::unique_ptr<Detector> make_two_masters() { return std::make_unique<TwoMasters>(); }

}  // namespace aeterna::redis
