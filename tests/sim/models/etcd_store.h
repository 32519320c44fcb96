// EtcdStore: what etcd v3 keeps, as a value: revisioned keys and leases. Facts: create_revision and
// mod_revision count the store's changes; a lease takes its keys along; a keepalive changes no
// revision (etcd v3 API, "Lease").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"

namespace aeterna::sim::models {

struct EtcdKey {
    std::string value;
    std::int64_t create_revision = 0;
    std::int64_t mod_revision = 0;
    std::int64_t version = 0;
    std::int64_t lease = 0;
    friend bool operator==(const EtcdKey&, const EtcdKey&) = default;
};

struct EtcdLeaseState {
    Duration ttl{};
    MonoTime expires_at{};
    std::set<std::string> keys;
};

struct EtcdChange {
    std::string key;
    std::optional<EtcdKey> now;  // nothing: deleted
    std::int64_t revision = 0;
};

class EtcdStore {
  public:
    std::int64_t revision = 1;
    std::map<std::string, EtcdKey> keys;
    std::map<std::int64_t, EtcdLeaseState> leases;
    std::vector<EtcdChange> changes;  // since the owner last took them

    [[nodiscard]] const EtcdKey* find(const std::string& key) const;
    // False when the lease is unknown.
    bool put(const std::string& key, const std::string& value, std::int64_t lease);
    // How many were there.
    int remove(const std::string& key);
    void grant(std::int64_t id, Duration ttl, MonoTime now);
    // What is left, or nothing when the lease is unknown.
    [[nodiscard]] std::optional<Duration> keep_alive(std::int64_t id, MonoTime now);
    bool revoke(std::int64_t id);
    void expire(MonoTime now);
    // A new leader of the cluster gives every lease its whole time again, and `more` (etcd server/lease,
    // lessor.Promote).
    void extend_all(MonoTime now, Duration more);

  private:
    void detach(const std::string& key, std::int64_t lease);
};

}  // namespace aeterna::sim::models
