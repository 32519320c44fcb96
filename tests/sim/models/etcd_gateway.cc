#include "models/etcd_gateway.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "models/etcd.h"

namespace aeterna::sim::models {
namespace {

std::string field(const Json& body, std::string_view name) {
    return base64_decode(find_string(body, name).value_or("")).value_or("");
}

env::HttpResponse ok(const Json& document) { return {200, {}, dump_json(document)}; }

// The gateway's form of a gRPC error: 3.4 answers 503 for Unavailable, 404 for NotFound, 400 for
// others.
env::HttpResponse failed(int status, int code, const std::string& message) {
    return {status, {}, dump_json(Json{{"error", message}, {"code", code}, {"message", message}})};
}

env::HttpResponse no_lease() { return failed(404, 5, "etcdserver: requested lease not found"); }

Json to_json(const std::string& key, const EtcdKey& entry) {
    Json pair{{"key", base64_encode(key)},
              {"create_revision", std::to_string(entry.create_revision)},
              {"mod_revision", std::to_string(entry.mod_revision)},
              {"version", std::to_string(entry.version)},
              {"value", base64_encode(entry.value)}};
    if (entry.lease != 0) pair["lease"] = std::to_string(entry.lease);
    return pair;
}

Json header(const EtcdStore& store) {
    return Json{{"revision", std::to_string(store.revision)}, {"raft_term", "2"}};
}

Json read_range(const Json& body, const EtcdStore& store) {
    const std::string from = field(body, "key");
    const std::string to = field(body, "range_end");
    Json answer{{"header", header(store)}};
    Json pairs = Json::array();
    const bool is_open_ended = to == std::string(1, '\0');
    for (auto it = store.keys.lower_bound(from); it != store.keys.end(); ++it) {
        if (to.empty() ? it->first != from : !is_open_ended && it->first >= to) break;
        pairs.push_back(to_json(it->first, it->second));
    }
    if (!pairs.empty()) {
        answer["count"] = std::to_string(pairs.size());
        answer["kvs"] = std::move(pairs);
    }
    return answer;
}

template <class T>
bool holds(const std::string& result, const T& present, const T& wanted) {
    if (result == "GREATER") return present > wanted;
    if (result == "LESS") return present < wanted;
    if (result == "NOT_EQUAL") return present != wanted;
    return present == wanted;
}

// etcd leaves zero fields and default words out.
bool compare(const Json& condition, const EtcdStore& store) {
    const EtcdKey* entry = store.find(field(condition, "key"));
    const EtcdKey absent;
    const EtcdKey& present = entry == nullptr ? absent : *entry;
    const std::string target = find_string(condition, "target").value_or("VERSION");
    const std::string result = find_string(condition, "result").value_or("EQUAL");
    const auto number = [&](std::string_view name) {
        return find_integer_or_text(condition, name).value_or(0);
    };
    if (target == "VALUE")
        return entry != nullptr && holds(result, present.value, field(condition, "value"));
    if (target == "CREATE")
        return holds(result, present.create_revision, number("create_revision"));
    if (target == "MOD") return holds(result, present.mod_revision, number("mod_revision"));
    if (target == "LEASE") return entry != nullptr && holds(result, present.lease, number("lease"));
    return holds(result, present.version, number("version"));
}

const Json* either(const Json& object, std::string_view snake, std::string_view camel) {
    const Json* found = find_member(object, snake);
    return found != nullptr ? found : find_member(object, camel);
}

}  // namespace

void EtcdGateway::serve(HttpCall call, Promise<env::HttpResponse> answer) {
    if (call.target == "/health") {
        const bool healthy = etcd_.has_leader() && stale_() == nullptr;
        answer.send(healthy ? env::HttpResponse{200, {}, R"({"health":"true"})"}
                            : env::HttpResponse{
                                  503, {}, R"({"health":"false","reason":"RAFT NO LEADER"})"});
        return;
    }
    auto body = std::make_shared<Json>(Json::parse(call.body, nullptr, false));
    if (!body->is_object()) return answer.send(failed(400, 3, "invalid JSON"));
    if (find_boolean(*body, "serializable").value_or(false)) {
        const EtcdStore* store = stale_() != nullptr ? stale_() : &etcd_.store();
        return answer.send({200, {}, dump_json(read_range(*body, *store))});
    }
    agree_([this, call = std::move(call), body, answer](bool agreed) {
        if (!agreed) return answer.send(failed(503, 14, "etcdserver: request timed out"));
        if (etcd_.on_client_change && call.target != "/v3/kv/range") {
            const EtcdStore before = etcd_.store();
            env::HttpResponse response = perform(call, *body);
            if (before.revision != etcd_.store().revision) {
                etcd_.on_client_change({answer.client(), answer.begun(), before, etcd_.store()});
            }
            answer.send(std::move(response));
        } else {
            answer.send(perform(call, *body));
        }
        etcd_.publish();
    });
}

env::HttpResponse EtcdGateway::perform(const HttpCall& call, const Json& body) {
    EtcdStore& store = etcd_.store();
    if (call.target == "/v3/kv/range") {
        if (cached_revision_ != store.revision || cached_request_ != call.body) {
            cached_answer_ = dump_json(read_range(body, store));
            cached_revision_ = store.revision;
            cached_request_ = call.body;
        }
        return {200, {}, cached_answer_};
    }
    if (call.target == "/v3/kv/put") {
        bool is_lease_missing = false;
        const Json done = put(body, is_lease_missing);
        return is_lease_missing ? no_lease() : ok(done);
    }
    if (call.target == "/v3/kv/deleterange") return ok(remove(body));
    if (call.target == "/v3/kv/txn") return transaction(body);
    if (call.target.starts_with("/v3/lease/")) return lease(call.target.substr(10), body);
    return {404, {}, "404 page not found"};
}

Json EtcdGateway::put(const Json& body, bool& is_lease_missing) {
    EtcdStore& store = etcd_.store();
    is_lease_missing = !store.put(field(body, "key"), field(body, "value"),
                                  find_integer_or_text(body, "lease").value_or(0));
    return Json{{"header", header(store)}};
}

Json EtcdGateway::remove(const Json& body) {
    EtcdStore& store = etcd_.store();
    const int deleted = store.remove(field(body, "key"));
    Json answer{{"header", header(store)}};
    if (deleted != 0) answer["deleted"] = std::to_string(deleted);
    return answer;
}

env::HttpResponse EtcdGateway::transaction(const Json& body) {
    EtcdStore& store = etcd_.store();
    bool succeeded = true;
    if (const Json* conditions = find_member(body, "compare")) {
        for (const Json& condition : *conditions)
            succeeded = succeeded && compare(condition, store);
    }
    Json answer{{"header", header(store)}};
    if (succeeded) answer["succeeded"] = true;
    Json responses = Json::array();
    const Json* requests = find_member(body, succeeded ? "success" : "failure");
    if (requests != nullptr) {
        for (const Json& request : *requests) {
            if (const Json* range = either(request, "request_range", "requestRange")) {
                responses.push_back({{"response_range", read_range(*range, store)}});
            } else if (const Json* one = either(request, "request_put", "requestPut")) {
                bool is_lease_missing = false;
                responses.push_back({{"response_put", put(*one, is_lease_missing)}});
                if (is_lease_missing) return no_lease();
            } else if (const Json* gone =
                           either(request, "request_delete_range", "requestDeleteRange")) {
                responses.push_back({{"response_delete_range", remove(*gone)}});
            }
        }
    }
    if (!responses.empty()) answer["responses"] = std::move(responses);
    return ok(answer);
}

env::HttpResponse EtcdGateway::lease(const std::string& action, const Json& body) {
    EtcdStore& store = etcd_.store();
    const std::int64_t id = find_integer_or_text(body, "ID").value_or(0);
    if (action == "grant") {
        const std::int64_t ttl =
            std::max<std::int64_t>(2, find_integer_or_text(body, "TTL").value_or(0));
        const std::int64_t given = etcd_.next_lease();
        store.grant(given, std::chrono::seconds(ttl), world_.now());
        return ok({{"header", header(store)},
                   {"ID", std::to_string(given)},
                   {"TTL", std::to_string(ttl)}});
    }
    if (action == "keepalive") {
        const auto left = store.keep_alive(id, world_.now());
        Json result{{"header", header(store)}, {"ID", std::to_string(id)}};
        if (left)
            result["TTL"] =
                std::to_string(std::chrono::duration_cast<std::chrono::seconds>(*left).count());
        return ok({{"result", result}});
    }
    if (action == "revoke") return store.revoke(id) ? ok({{"header", header(store)}}) : no_lease();
    if (action != "timetolive") return {404, {}, "404 page not found"};
    if (etcd_.hides_leases) return failed(503, 14, "etcdserver: request timed out");
    Json answer{{"header", header(store)}, {"ID", std::to_string(id)}};
    const auto found = store.leases.find(id);
    if (found == store.leases.end()) {
        answer["TTL"] = "-1";
        return ok(answer);
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::seconds>(found->second.expires_at - world_.now());
    if (left.count() > 0) answer["TTL"] = std::to_string(left.count());
    answer["grantedTTL"] =
        std::to_string(std::chrono::duration_cast<std::chrono::seconds>(found->second.ttl).count());
    return ok(answer);
}

}  // namespace aeterna::sim::models
