#include "models/etcd_store.h"

namespace aeterna::sim::models {

const EtcdKey* EtcdStore::find(const std::string& key) const {
    const auto found = keys.find(key);
    return found == keys.end() ? nullptr : &found->second;
}

void EtcdStore::detach(const std::string& key, std::int64_t lease) {
    const auto found = leases.find(lease);
    if (found != leases.end()) found->second.keys.erase(key);
}

bool EtcdStore::put(const std::string& key, const std::string& value, std::int64_t lease) {
    if (lease != 0 && !leases.contains(lease)) return false;
    ++revision;
    EtcdKey& entry = keys[key];
    if (entry.version == 0) entry.create_revision = revision;
    if (entry.lease != lease) detach(key, entry.lease);
    entry.value = value;
    entry.mod_revision = revision;
    ++entry.version;
    entry.lease = lease;
    if (lease != 0) leases[lease].keys.insert(key);
    changes.push_back({key, entry, revision});
    return true;
}

int EtcdStore::remove(const std::string& key) {
    const auto found = keys.find(key);
    if (found == keys.end()) return 0;
    ++revision;
    detach(key, found->second.lease);
    keys.erase(found);
    changes.push_back({key, std::nullopt, revision});
    return 1;
}

void EtcdStore::grant(std::int64_t id, Duration ttl, MonoTime now) {
    leases[id] = {ttl, now + ttl, {}};
}

std::optional<Duration> EtcdStore::keep_alive(std::int64_t id, MonoTime now) {
    const auto found = leases.find(id);
    if (found == leases.end() || found->second.expires_at <= now) return std::nullopt;
    found->second.expires_at = now + found->second.ttl;
    return found->second.ttl;
}

bool EtcdStore::revoke(std::int64_t id) {
    const auto found = leases.find(id);
    if (found == leases.end()) return false;
    const std::set<std::string> taken = found->second.keys;
    for (const std::string& key : taken) remove(key);
    leases.erase(id);
    return true;
}

void EtcdStore::expire(MonoTime now) {
    std::vector<std::int64_t> over;
    for (const auto& [id, lease] : leases) {
        if (lease.expires_at <= now) over.push_back(id);
    }
    for (const std::int64_t id : over) revoke(id);
}

void EtcdStore::extend_all(MonoTime now, Duration more) {
    for (auto& [id, lease] : leases) lease.expires_at = now + lease.ttl + more;
}

}  // namespace aeterna::sim::models
