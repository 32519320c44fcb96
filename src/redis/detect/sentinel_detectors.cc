// What the Sentinels say: redis.odown, redis.sentinel_quorum, redis.sentinels_disagree, redis.sentinel_down.
#include <fmt/core.h>

#include "base/strings.h"
#include "redis/detect/detector.h"

namespace aeterna::redis {
namespace {

using engine::Finding;
using engine::Severity;

// The +odown event outruns the next round of questions, so both count.
class Odown final : public Detector {
  public:
    Odown() : Detector("redis.odown", Severity::kCritical, {0s, 3s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        std::map<env::Endpoint, std::vector<std::string>> reports;
        for (const auto& [name, record] : snapshot.sentinels) {
            const SentinelOpinion* opinion = fresh_opinion(snapshot, name);
            if (opinion && opinion->master.has_flag("o_down"))
                reports[opinion->master.address].push_back(name + ": flags it o_down");
            else if (record.odown)
                reports[*record.odown].push_back(name + ": announced +odown");
        }
        std::vector<Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes) {
            Opinion opinion;
            if (fresh_sentinels(snapshot) > 0 || !reports.empty()) {
                opinion.reasons = reports[node.address];
                opinion.condition = !opinion.reasons.empty();
                opinion.is_strong = true;
                opinion.summary = *opinion.condition
                                      ? "Sentinel reports ODOWN for the master " + node.name
                                      : "no Sentinel reports ODOWN for " + node.name;
            }
            findings.push_back(settle(node.name, std::move(opinion), snapshot));
        }
        return findings;
    }
};

class SentinelQuorum final : public Detector {
  public:
    SentinelQuorum() : Detector("redis.sentinel_quorum", Severity::kDegraded, {3s, 2s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        Opinion opinion;
        std::vector<std::string> absent;
        std::size_t answering = 0;
        std::size_t silent = 0;
        std::size_t young = 0;
        for (const auto& entry : snapshot.sentinels) {
            const ContactState contact = contact_of_sentinel(snapshot, entry.first);
            const bool is_silent = contact.contact == Contact::kSilent;
            if (is_silent || contact.contact == Contact::kRefused) absent.push_back(contact.reason);
            if (is_silent) ++silent;
            if (is_silent && contact.silent_for < 5s) ++young;
            const SentinelOpinion* said = fresh_opinion(snapshot, entry.first);
            if (!said) continue;
            ++answering;
            if (!said->has_quorum) opinion.reasons.push_back(entry.first + " CKQUORUM: " + said->quorum_text);
        }
        // One that answers, but not to us, may still vote.
        const std::size_t spare = snapshot.settings->sentinels.size() - snapshot.settings->majority();
        if (absent.size() > spare) {
            opinion.is_suspect = absent.size() - young <= spare && opinion.reasons.empty();
            opinion.reasons.insert(opinion.reasons.end(), absent.begin(), absent.end());
        }
        // When all are silent, it may be us whom they do not hear: they may well hear each other.
        const bool is_told = silent < snapshot.sentinels.size();
        if (is_told && (answering > 0 || !opinion.reasons.empty())) {
            opinion.condition = !opinion.reasons.empty();
            opinion.summary = *opinion.condition ? "the Sentinels cannot authorise a failover"
                                                 : "the Sentinels can authorise a failover";
        }
        return {settle(snapshot.settings->master_name, std::move(opinion), snapshot)};
    }
};

class SentinelsDisagree final : public Detector {
  public:
    SentinelsDisagree() : Detector("redis.sentinels_disagree", Severity::kDegraded, {5s, 2s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        Opinion opinion;
        std::map<env::Endpoint, std::vector<std::string>> votes;
        for (const auto& entry : snapshot.sentinels)
            if (const SentinelOpinion* said = fresh_opinion(snapshot, entry.first))
                votes[said->current_address].push_back(entry.first);
        if (!votes.empty()) {
            opinion.condition = votes.size() > 1;
            opinion.summary = *opinion.condition ? "the Sentinels name different masters"
                                                 : "the Sentinels name one master";
        }
        for (const auto& [address, names] : votes)
            opinion.reasons.push_back(join(names, ", ") + ": the master is " +
                                      snapshot.settings->name_of(address));
        return {settle(snapshot.settings->master_name, std::move(opinion), snapshot)};
    }
};

class SentinelDown final : public Detector {
  public:
    SentinelDown() : Detector("redis.sentinel_down", Severity::kDegraded, {1s, 2s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        std::vector<Finding> findings;
        for (const RedisNode& sentinel : snapshot.settings->sentinels) {
            const ContactState contact = contact_of_sentinel(snapshot, sentinel.name);
            Opinion opinion;
            if (contact.contact != Contact::kUnknown) {
                const bool is_silent = contact.contact == Contact::kSilent;
                opinion.condition = contact.contact != Contact::kAnswering;
                opinion.is_suspect = is_silent && contact.silent_for < 5s;
                opinion.summary = sentinel.name + (*opinion.condition ? " does not answer" : " answers");
                if (contact.contact == Contact::kBlind)
                    opinion.summary = sentinel.name + " answers, but not to us";
                if (!contact.reason.empty()) opinion.reasons.push_back(contact.reason);
            }
            findings.push_back(settle(sentinel.name, std::move(opinion), snapshot));
        }
        return findings;
    }
};

}  // namespace

std::unique_ptr<Detector> make_odown() { return std::make_unique<Odown>(); }
std::unique_ptr<Detector> make_sentinel_quorum() { return std::make_unique<SentinelQuorum>(); }
std::unique_ptr<Detector> make_sentinels_disagree() { return std::make_unique<SentinelsDisagree>(); }
std::unique_ptr<Detector> make_sentinel_down() { return std::make_unique<SentinelDown>(); }

}  // namespace aeterna::redis
