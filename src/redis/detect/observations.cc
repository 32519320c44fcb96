// Reading a snapshot: who answers, who is master.
#include "redis/detect/observations.h"

namespace aeterna::redis {
namespace {

bool is_blind(ErrorCode code) {
    switch (code) {
        case ErrorCode::kAuthentication: case ErrorCode::kPermission: case ErrorCode::kProtocol:
        case ErrorCode::kServer: case ErrorCode::kUnavailable: case ErrorCode::kNotFound: return true;
        default: return false;
    }
}

template <class Observation>
ContactState contact(const Record<Observation>& record, const Snapshot& snapshot, const std::string& vantage) {
    ContactState state;
    if (!record.latest || record.latest->at < snapshot.trusted_since) return state;
    const MonoTime answered = record.last_answer.value_or(*record.first_try);
    const MonoTime since = std::max(record.silent_since.value_or(answered), snapshot.trusted_since);
    state.silent_for = std::max(Duration(0), Duration(snapshot.now - since));
    if (snapshot.now - record.latest->at > kFreshFor) {
        state.contact = Contact::kSilent;
        state.reason = vantage + ": no answer for " + format_duration(state.silent_for);
        return state;
    }
    if (!record.latest->error) {
        state.contact = Contact::kAnswering;
        return state;
    }
    const Error& error = *record.latest->error;
    state.contact = error.code == ErrorCode::kConnectionRefused ? Contact::kRefused
                    : is_blind(error.code)                      ? Contact::kBlind
                                                                : Contact::kSilent;
    state.reason = vantage + ": " + error.to_string();
    return state;
}

template <class Observation>
bool is_answering(const Record<Observation>& record, const Snapshot& snapshot) {
    return record.latest && record.latest->at >= snapshot.trusted_since &&
           snapshot.now - record.latest->at <= kFreshFor && !record.latest->error;
}

// Asked for by every detector, every 150 ms: without a ContactState and its texts.
template <class Records>
auto fresh_in(const Records& records, const Snapshot& snapshot, const std::string& name) {
    const auto found = records.find(name);
    const bool is_fresh = found != records.end() && is_answering(found->second, snapshot);
    return is_fresh ? &*found->second.latest : nullptr;
}

template <class Records>
ContactState contact_in(const Records& records, const Snapshot& snapshot, const std::string& name,
                        const std::string& vantage) {
    const auto found = records.find(name);
    return found == records.end() ? ContactState{} : contact(found->second, snapshot, vantage);
}

}  // namespace

ContactState contact_of(const Snapshot& snapshot, const std::string& node) {
    return contact_in(snapshot.nodes, snapshot, node, node + " RESP");
}

ContactState contact_of_sentinel(const Snapshot& snapshot, const std::string& sentinel) {
    return contact_in(snapshot.sentinels, snapshot, sentinel, sentinel + " RESP");
}

const NodeObservation* fresh_node(const Snapshot& snapshot, const std::string& node) {
    return fresh_in(snapshot.nodes, snapshot, node);
}

const SentinelOpinion* fresh_opinion(const Snapshot& snapshot, const std::string& sentinel) {
    const SentinelObservation* seen = fresh_in(snapshot.sentinels, snapshot, sentinel);
    return seen ? &seen->opinion : nullptr;
}

std::size_t fresh_sentinels(const Snapshot& snapshot) {
    std::size_t count = 0;
    for (const auto& entry : snapshot.sentinels)
        if (is_answering(entry.second, snapshot)) ++count;
    return count;
}

std::optional<env::Endpoint> sentinels_master(const Snapshot& snapshot) {
    std::vector<env::Endpoint> addresses;
    for (const auto& entry : snapshot.sentinels)
        if (is_answering(entry.second, snapshot)) addresses.push_back(entry.second.latest->opinion.current_address);
    return majority_address(addresses, addresses.size());
}

std::optional<std::string> supposed_master(const Snapshot& snapshot) {
    if (const auto address = sentinels_master(snapshot)) return snapshot.settings->name_of(*address);
    // Split Sentinels (a switch is spreading): the last known one stays the subject.
    if (fresh_sentinels(snapshot) > 0 && snapshot.known_master) return snapshot.known_master;
    if (const auto working = working_master(snapshot)) return working;
    return snapshot.known_master;
}

std::optional<std::string> working_master(const Snapshot& snapshot) {
    std::vector<std::string> masters;
    for (const auto& entry : snapshot.nodes) {
        const NodeObservation* node = fresh_node(snapshot, entry.first);
        if (node && node->role.is_master() && !node->info.is_loading) masters.push_back(entry.first);
    }
    if (const auto address = sentinels_master(snapshot)) {
        const std::string name = snapshot.settings->name_of(*address);
        for (const std::string& master : masters)
            if (master == name) return master;
    }
    if (masters.size() == 1) return masters.front();
    return std::nullopt;
}

}  // namespace aeterna::redis
