// redis.master_down: our own connection is the first vantage; a Sentinel or a replica must agree before it fires.
//
// A refused connection is strong (the host's kernel says that nobody listens). Silence is weak and needs 5 s. A master
// that answers LOADING is not down (redis.loading). One vantage alone only makes a suspicion.
#include "redis/detect/detector.h"
#include "redis/detect/silence.h"

namespace aeterna::redis {
namespace {

class MasterDown final : public Detector {
  public:
    MasterDown() : Detector("redis.master_down", engine::Severity::kCritical, {0s, 1s}) {}

    std::vector<engine::Finding> judge(const Snapshot& snapshot) override {
        const auto master = supposed_master(snapshot);
        std::vector<engine::Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes)
            findings.push_back(settle(node.name, opinion_on(node, master, snapshot), snapshot));
        return findings;
    }

  private:
    static Opinion opinion_on(const RedisNode& node, const std::optional<std::string>& master,
                              const Snapshot& snapshot) {
        Opinion opinion;
        if (!master) return opinion;
        opinion.condition = false;
        opinion.summary = node.name + (master == node.name ? " is master and answers" : " is not the master");
        if (master != node.name) return opinion;
        const ContactState contact = contact_of(snapshot, node.name);
        if (contact.contact == Contact::kAnswering || contact.contact == Contact::kBlind) return opinion;
        if (contact.contact == Contact::kUnknown) {
            opinion.condition = std::nullopt;
            return opinion;
        }
        opinion.reasons.push_back(contact.reason);
        const std::vector<std::string> others = second_vantages(node, snapshot);
        opinion.reasons.insert(opinion.reasons.end(), others.begin(), others.end());
        const bool is_refused = contact.contact == Contact::kRefused;
        const bool is_proven = !others.empty() && (is_refused || contact.silent_for >= kSilence);
        opinion.summary = "the master " + node.name + (is_refused ? " is dead: its port refuses connections"
                                                                  : " does not answer");
        opinion.condition = is_proven;
        opinion.is_strong = is_proven;
        opinion.is_suspect = !is_proven;
        return opinion;
    }

    static std::vector<std::string> second_vantages(const RedisNode& node, const Snapshot& snapshot) {
        std::vector<std::string> reasons;
        for (const auto& entry : snapshot.sentinels) {
            const SentinelOpinion* opinion = fresh_opinion(snapshot, entry.first);
            if (!opinion || opinion->master.address != node.address) continue;
            const MasterView& view = opinion->master;
            if (view.is_down())
                reasons.push_back(entry.first + ": flags it " + (view.has_flag("o_down") ? "o_down" : "s_down"));
            else if (view.last_ok_ping_ms > kPingOverdueMs)
                reasons.push_back(entry.first + ": its last answered ping is " +
                                  format_duration(std::chrono::milliseconds(view.last_ok_ping_ms)) + " old");
            else if (view.has_flag("disconnected"))
                reasons.push_back(entry.first + ": lost its connection");
        }
        for (const auto& entry : snapshot.nodes) {
            const NodeObservation* replica = fresh_node(snapshot, entry.first);
            if (!replica || replica->role.is_master() || replica->role.follows != node.address) continue;
            if (!replica->role.is_connected_replica() || !replica->info.is_link_up)
                reasons.push_back(entry.first + ": its replication link is down");
            else if (replica->info.last_io_seconds >= kQuietLinkSeconds)
                reasons.push_back(entry.first + ": its replication link is quiet for " +
                                  std::to_string(replica->info.last_io_seconds) + " s");
        }
        return reasons;
    }
};

}  // namespace

std::unique_ptr<Detector> make_master_down() { return std::make_unique<MasterDown>(); }

}  // namespace aeterna::redis
