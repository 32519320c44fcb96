// Patroni's keys in etcd.
#include "postgres/client/dcs.h"

namespace aeterna::postgres {

namespace {

// Takes a parsed document into its place, or notes the key as unreadable.
template <class T, class Target>
void keep(DcsView& view, const std::string& key, Result<T> parsed, Target& target) {
    if (parsed) {
        target = std::move(*parsed);
    } else {
        view.unreadable.push_back(key + ": " + parsed.error().message);
    }
}

void read_failsafe(DcsView& view, const std::string& value) {
    auto document = parse_json(value, "failsafe key");
    if (!document || !document->is_object()) {
        view.unreadable.push_back("failsafe: not an object");
        return;
    }
    for (const auto& item : document->items()) view.failsafe.push_back(item.key());
}

// {"optime": bytes, ...}; before Patroni 2.1 a number alone, below "optime/leader".
void read_leader_position(DcsView& view, const std::string& value) {
    const auto document = parse_json(value, "status key");
    if (document && document->is_object()) view.last_leader_position = find_integer(*document, "optime");
    if (document && document->is_number_integer()) view.last_leader_position = document->get<std::int64_t>();
}

void read_key(DcsView& view, const std::string& key, const services::EtcdKeyValue& entry) {
    if (key == "leader") {
        view.leader = LeaderKey{entry.value, entry.lease, entry.mod_revision, std::nullopt, 0};
    } else if (key == "sync") {
        keep(view, key, parse_sync_key(entry.value), view.sync);
    } else if (key == "failover") {
        keep(view, key, parse_failover_key(entry.value), view.failover);
    } else if (key == "config") {
        keep(view, key, parse_patroni_config(entry.value), view.config);
        view.has_config = true;
    } else if (key == "initialize") {
        view.system_identifier = entry.value;
    } else if (key == "status" || (key == "optime/leader" && !view.last_leader_position)) {
        read_leader_position(view, entry.value);
    } else if (key == "failsafe") {
        read_failsafe(view, entry.value);
    } else if (key.rfind("members/", 0) == 0) {
        const std::string name = key.substr(8);
        keep(view, key, parse_member_key(name, entry.value), view.members[name]);
        view.members[name].name = name;
    }
}

}  // namespace

DcsView parse_dcs(const std::string& prefix, const std::vector<services::EtcdKeyValue>& keys) {
    DcsView view;
    for (const services::EtcdKeyValue& entry : keys) {
        if (entry.key.rfind(prefix, 0) == 0) read_key(view, entry.key.substr(prefix.size()), entry);
    }
    return view;
}

DcsView Dcs::parse_once(const services::EtcdListing& keys) {
    const std::lock_guard lock(mutex_);
    if (keys != keys_) {
        view_ = parse_dcs(settings_.key_prefix, *keys);
        keys_ = keys;
    }
    return view_;
}

Result<DcsView> Dcs::read(const env::Context& context) {
    AETERNA_ASSIGN(const services::EtcdListing keys, etcd_.list(settings_.key_prefix, context));
    DcsView view = parse_once(keys);
    if (view.leader && view.leader->lease != 0) {
        if (auto lease = etcd_.lease_time_to_live(view.leader->lease, context)) {
            view.leader->remaining_seconds = lease->ttl_seconds;
            view.leader->granted_seconds = lease->granted_ttl_seconds;
        }
    }
    return view;
}

}  // namespace aeterna::postgres
