// What Patroni keeps in etcd v3 below /<namespace>/<scope>/ (facts of Patroni's dcs/etcd3.py), read
// in one linearizable range request, so that all of it belongs to one revision; the leader's lease
// is asked after it.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "postgres/client/patroni_json.h"
#include "postgres/settings.h"
#include "services/etcd.h"

namespace aeterna::postgres {

struct LeaderKey {
    std::string member;
    std::int64_t lease = 0;
    std::int64_t mod_revision = 0;
    // Of the lease, when it was asked; nothing when that question failed. -1 = expired.
    std::optional<std::int64_t> remaining_seconds;
    std::int64_t granted_seconds = 0;
};

struct DcsView {
    std::optional<LeaderKey> leader;
    std::map<std::string, PatroniMember> members;  // by member name
    std::optional<SyncState> sync;
    std::optional<FailoverRequest> failover;
    PatroniConfig config;
    bool has_config = false;
    std::string system_identifier;        // the key initialize
    std::optional<std::int64_t> last_leader_position;  // bytes of WAL that the leader last told (key status)
    std::vector<std::string> failsafe;    // member names of the key failsafe
    std::vector<std::string> unreadable;  // keys with wrong content, for people
};

// Pure: `keys` as listed below `prefix`. Wrong content of one key is noted, not fatal.
[[nodiscard]] DcsView parse_dcs(const std::string& prefix,
                                const std::vector<services::EtcdKeyValue>& keys);

class Dcs {
  public:
    // Precondition: settings.etcd.
    Dcs(const Settings& settings, const env::Env& env)
        : settings_(settings), etcd_(*settings.etcd, env) {}
    [[nodiscard]] Result<DcsView> read(const env::Context& context);
    [[nodiscard]] std::vector<services::EtcdMemberHealth> health(Duration timeout,
                                                                 const env::Context& context) {
        return etcd_.health(timeout, context);
    }

    // Whether we may write `key`; changes nothing.
    Status check_write(const std::string& key, const env::Context& context) { return etcd_.check_write(key, context); }

  private:
    [[nodiscard]] DcsView parse_once(const services::EtcdListing& keys);

    const Settings& settings_;
    services::Etcd etcd_;
    std::mutex mutex_;
    services::EtcdListing keys_;  // what view_ was parsed from
    DcsView view_;
};

}  // namespace aeterna::postgres
