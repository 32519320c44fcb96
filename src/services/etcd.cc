// Gateway facts (etcd 3.4 and later): fields that are 0, false or empty are absent from answers; an error is a
// document with "code" (gRPC's) and "message"; an unknown path is a 404 without one. Lease calls moved between
// /v3/lease/… and /v3/kv/lease/…, so both are tried. All writes here may be repeated: a create that finds its own
// value and lease has succeeded before, a lease granted twice expires by itself.
#include "services/etcd.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/strings.h"
#include "base/url.h"

namespace aeterna::services {
namespace {

// A member that does not answer gets no more than this while others may be asked.
constexpr Duration kLongestShare = 2s;

constexpr const char* kRange = "/v3/kv/range";

constexpr std::int64_t kGrpcDeadlineExceeded = 4;
constexpr std::int64_t kGrpcNotFound = 5;
constexpr std::int64_t kGrpcPermissionDenied = 7;
constexpr std::int64_t kGrpcUnavailable = 14;
constexpr std::int64_t kGrpcUnauthenticated = 16;

Error status_error(const std::string& what, const env::HttpResponse& response) {
    const Json document = parse_json(response.body, what).value_or(Json());
    const std::string said = find_string(document, "message").value_or(
        find_string(document, "error").value_or(response.body));
    const std::string message = fmt::format("{}: status {}: {}", what, response.status, one_line(said));
    const auto grpc = find_integer(document, "code");
    if (grpc == kGrpcUnavailable || grpc == kGrpcDeadlineExceeded || response.status == 503) {
        return make_error(ErrorCode::kUnavailable, message);
    }
    if (grpc == kGrpcUnauthenticated || response.status == 401) {
        return make_error(ErrorCode::kAuthentication, message, "Check the etcd user and its password.");
    }
    if (grpc == kGrpcPermissionDenied || response.status == 403) {
        return make_error(ErrorCode::kPermission, message, "Grant the etcd user a role for this key.");
    }
    if (grpc == kGrpcNotFound) return make_error(ErrorCode::kNotFound, message);
    // A path that this version does not have.
    if (response.status == 404 || response.status == 405) return make_error(ErrorCode::kProtocol, message);
    // Wrong credentials come as InvalidArgument.
    if (said.find("authentication failed") != std::string::npos) {
        return make_error(ErrorCode::kAuthentication, message, "Check the etcd user and its password.");
    }
    return make_error(ErrorCode::kServer, message);
}

// Another member may do better.
bool is_worth_another_member(ErrorCode code) {
    switch (code) {
        case ErrorCode::kConnectionRefused:
        case ErrorCode::kConnectionLost:
        case ErrorCode::kUnreachable:
        case ErrorCode::kTimeout:
        case ErrorCode::kUnavailable: return true;
        default: return false;
    }
}

// The end of the range of all keys that begin with `prefix`; "\0" means to the last key.
std::string range_end_of(std::string prefix) {
    while (!prefix.empty()) {
        if (static_cast<unsigned char>(prefix.back()) < 0xff) {
            prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
            return prefix;
        }
        prefix.pop_back();
    }
    return std::string(1, '\0');
}

Result<EtcdKeyValue> read_key_value(const Json& entry) {
    const auto key = base64_decode(find_string(entry, "key").value_or(""));
    const auto value = base64_decode(find_string(entry, "value").value_or(""));
    if (!entry.is_object() || !key || !value) {
        return make_error(ErrorCode::kProtocol, "etcd sent a key or value that is not base64");
    }
    return EtcdKeyValue{*key, *value, find_integer_or_text(entry, "create_revision").value_or(0),
                        find_integer_or_text(entry, "mod_revision").value_or(0),
                        find_integer_or_text(entry, "lease").value_or(0)};
}

Result<std::vector<EtcdKeyValue>> read_key_values(const Json& range) {
    std::vector<EtcdKeyValue> result;
    const Json* entries = find_member(range, "kvs");
    if (entries == nullptr) return result;
    if (!entries->is_array()) return make_error(ErrorCode::kProtocol, "etcd sent keys that are no list");
    for (const Json& entry : *entries) {
        AETERNA_ASSIGN(EtcdKeyValue pair, read_key_value(entry));
        result.push_back(std::move(pair));
    }
    return result;
}

// The key that a transaction's failure branch has read.
Result<std::optional<EtcdKeyValue>> read_present(const Json& transaction) {
    const Json* responses = find_member(transaction, "responses");
    if (responses == nullptr || !responses->is_array() || responses->empty()) {
        return make_error(ErrorCode::kProtocol, "etcd sent a transaction without its responses");
    }
    const Json* range = find_member(responses->front(), "response_range");
    if (range == nullptr) range = find_member(responses->front(), "responseRange");
    if (range == nullptr) return std::optional<EtcdKeyValue>();
    AETERNA_ASSIGN(auto pairs, read_key_values(*range));
    if (pairs.empty()) return std::optional<EtcdKeyValue>();
    return std::optional<EtcdKeyValue>(std::move(pairs.front()));
}

// A condition on a key that does not exist is false for its value and, being 0 there, for the others.
Json comparisons(const std::vector<EtcdCondition>& conditions) {
    Json all = Json::array();
    const auto add = [&](const std::string& key, const char* target, const char* field, const std::string& expected) {
        all.push_back({{"key", base64_encode(key)}, {"target", target}, {"result", "EQUAL"}, {field, expected}});
    };
    for (const EtcdCondition& condition : conditions) {
        if (condition.value) add(condition.key, "VALUE", "value", base64_encode(*condition.value));
        if (condition.mod_revision) add(condition.key, "MOD", "mod_revision", std::to_string(*condition.mod_revision));
        if (condition.lease) add(condition.key, "LEASE", "lease", std::to_string(*condition.lease));
    }
    return all;
}

Json removal(const std::string& key) {
    return {{"request_delete_range", {{"key", base64_encode(key)}}}};
}

Json transaction(Json compare, Json success, const std::string& key) {
    return {{"compare", Json::array({std::move(compare)})},
            {"success", Json::array({std::move(success)})},
            {"failure", Json::array({Json{{"request_range", {{"key", base64_encode(key)}}}}})}};
}

Json has_lease(const std::string& key, std::int64_t lease) {
    return comparisons({{key, std::nullopt, std::nullopt, lease}})[0];
}

}  // namespace

Etcd::Etcd(config::EtcdSettings settings, const env::Env& env)
    : settings_(std::move(settings)), env_(env), session_(settings_.session), memory_(std::make_shared<Memory>()) {
    if (!session_) session_ = std::make_shared<config::EtcdSession>();
    for (std::string& endpoint : settings_.endpoints) {
        endpoint = without_final_slashes(std::move(endpoint));
    }
}

Result<Etcd::Answer> Etcd::post(const std::string& endpoint, const std::string& path, const Json& body,
                        const std::string& token, const env::Context& context) {
    env::HttpRequest request;
    request.method = "POST";
    request.url = endpoint + path;
    request.body = dump_json(body);
    request.tls = settings_.tls;
    if (!token.empty()) request.headers.emplace_back("Authorization", token);
    AETERNA_ASSIGN(const env::HttpResponse response, env_.http.send(request, context));
    const std::string what = fmt::format("etcd at '{}'", endpoint);
    if (response.status != 200) return status_error(what, response);
    // A streaming call answers with one document per line.
    const std::string_view text = std::string_view(response.body).substr(0, response.body.find('\n'));
    if (path == kRange) {
        const std::lock_guard lock(memory_->mutex);
        if (memory_->answer && memory_->text == text) return memory_->answer;
    }
    AETERNA_ASSIGN(Json document, parse_json(text, what));
    const auto answer = std::make_shared<const Json>(std::move(document));
    if (path == kRange) {
        const std::lock_guard lock(memory_->mutex);
        memory_->text = text;
        memory_->answer = answer;
    }
    return answer;
}

Result<std::string> Etcd::token_of(const std::string& endpoint, const env::Context& context) {
    if (settings_.user.empty()) return std::string();
    {
        const std::lock_guard lock(session_->mutex);
        if (!session_->token.empty()) return session_->token;
    }
    const Json credentials{{"name", settings_.user}, {"password", settings_.password.reveal()}};
    AETERNA_ASSIGN(const Answer answer, post(endpoint, "/v3/auth/authenticate", credentials, "", context));
    const auto token = find_string(*answer, "token");
    if (!token) return make_error(ErrorCode::kProtocol, "etcd sent no token");
    const std::lock_guard lock(session_->mutex);
    session_->token = *token;
    return *token;
}

Result<Etcd::Answer> Etcd::ask(const std::string& endpoint, const std::string& path, const Json& body,
                       const env::Context& context) {
    AETERNA_ASSIGN(const std::string token, token_of(endpoint, context));
    auto answer = post(endpoint, path, body, token, context);
    if (answer || token.empty()) return answer;
    // Tokens expire after minutes: one new one.
    const bool is_stale = answer.error().code == ErrorCode::kAuthentication ||
                          answer.error().message.find("auth token") != std::string::npos;
    if (!is_stale) return answer;
    {
        const std::lock_guard lock(session_->mutex);
        session_->token.clear();
    }
    AETERNA_ASSIGN(const std::string fresh, token_of(endpoint, context));
    return post(endpoint, path, body, fresh, context);
}

Result<Etcd::Answer> Etcd::call(const std::string& path, const Json& body, const env::Context& context) {
    const std::size_t count = settings_.endpoints.size();
    if (count == 0) return make_error(ErrorCode::kConfiguration, "no etcd endpoint is configured");
    std::size_t first = 0;
    {
        const std::lock_guard lock(session_->mutex);
        first = session_->preferred;
    }
    Error last;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t index = (first + i) % count;
        const Duration left = env_.clock.remaining(context);
        const bool is_last = i + 1 == count;
        const Duration share =
            is_last ? left : std::min<Duration>(kLongestShare, left / static_cast<std::int64_t>(count - i));
        auto answer = ask(settings_.endpoints[index], path, body, env_.clock.within(share, context));
        if (answer) {
            const std::lock_guard lock(session_->mutex);
            session_->preferred = index;
            return answer;
        }
        last = std::move(answer).error();
        if (!is_worth_another_member(last.code)) return last;
    }
    return last;
}

Result<Etcd::Answer> Etcd::call_first(const std::vector<std::string>& paths, const Json& body,
                              const env::Context& context) {
    Result<Answer> answer = make_error(ErrorCode::kInternal, "no path to call");
    for (const std::string& path : paths) {
        answer = call(path, body, context);
        if (answer || answer.error().code != ErrorCode::kProtocol) return answer;
    }
    return answer;
}

Result<std::optional<EtcdKeyValue>> Etcd::get(const std::string& key, const env::Context& context,
                                              bool serializable) {
    Json body{{"key", base64_encode(key)}};
    if (serializable) body["serializable"] = true;
    AETERNA_ASSIGN(const Answer answer, call(kRange, body, context));
    AETERNA_ASSIGN(auto pairs, read_key_values(*answer));
    if (pairs.empty()) return std::optional<EtcdKeyValue>();
    return std::optional<EtcdKeyValue>(std::move(pairs.front()));
}

Result<EtcdListing> Etcd::list(const std::string& prefix, const env::Context& context) {
    // An empty key would be refused; "\0" is the first one.
    const std::string first = prefix.empty() ? std::string(1, '\0') : prefix;
    AETERNA_ASSIGN(const Answer answer,
                   call(kRange,
                        {{"key", base64_encode(first)}, {"range_end", base64_encode(range_end_of(prefix))}},
                        context));
    const std::lock_guard lock(memory_->mutex);
    if (memory_->listed == answer) return memory_->listing;
    AETERNA_ASSIGN(std::vector<EtcdKeyValue> pairs, read_key_values(*answer));
    memory_->listed = answer;
    memory_->listing = std::make_shared<const std::vector<EtcdKeyValue>>(std::move(pairs));
    return memory_->listing;
}

Result<EtcdLease> Etcd::lease_time_to_live(std::int64_t lease, const env::Context& context) {
    AETERNA_ASSIGN(const Answer answer,
                   call_first({"/v3/lease/timetolive", "/v3/kv/lease/timetolive"},
                              {{"ID", std::to_string(lease)}}, context));
    EtcdLease result;
    result.id = lease;
    // -1 is said, 0 (the last second) is absent.
    result.ttl_seconds = find_integer_or_text(*answer, "TTL").value_or(0);
    result.granted_ttl_seconds = find_integer_or_text(*answer, "grantedTTL").value_or(0);
    return result;
}

Result<std::int64_t> Etcd::grant_lease(std::int64_t ttl_seconds, const env::Context& context) {
    AETERNA_ASSIGN(const Answer answer,
                   call("/v3/lease/grant", {{"TTL", std::to_string(ttl_seconds)}}, context));
    const auto id = find_integer_or_text(*answer, "ID");
    if (!id || *id == 0) return make_error(ErrorCode::kProtocol, "etcd sent a lease without an id");
    return *id;
}

Status Etcd::keep_alive(std::int64_t lease, const env::Context& context) {
    AETERNA_ASSIGN(const Answer answer, call("/v3/lease/keepalive", {{"ID", std::to_string(lease)}}, context));
    const Json* result = find_member(*answer, "result");
    if (result == nullptr) return make_error(ErrorCode::kProtocol, "etcd sent a keepalive without result");
    if (find_integer_or_text(*result, "TTL").value_or(0) > 0) return {};
    return make_error(ErrorCode::kNotFound, fmt::format("lease {:x} has expired", lease));
}

Status Etcd::revoke_lease(std::int64_t lease, const env::Context& context) {
    const auto answer = call_first({"/v3/lease/revoke", "/v3/kv/lease/revoke"},
                                   {{"ID", std::to_string(lease)}}, context);
    if (!answer && answer.error().code != ErrorCode::kNotFound) return answer.error();
    return {};
}

Result<Etcd::CreateResult> Etcd::create(const std::string& key, const std::string& value,
                                        std::int64_t lease, const env::Context& context) {
    Json put{{"key", base64_encode(key)}, {"value", base64_encode(value)}};
    if (lease != 0) put["lease"] = std::to_string(lease);
    const Json body = transaction({{"key", base64_encode(key)},
                                   {"target", "CREATE"},
                                   {"result", "EQUAL"},
                                   {"create_revision", "0"}},
                                  {{"request_put", put}}, key);
    AETERNA_ASSIGN(const Answer answer, call("/v3/kv/txn", body, context));
    if (find_boolean(*answer, "succeeded").value_or(false)) return CreateResult{true, ""};
    AETERNA_ASSIGN(const auto present, read_present(*answer));
    if (!present) return make_error(ErrorCode::kProtocol, "etcd refused to create a key that is not there");
    const bool is_ours = lease != 0 && present->lease == lease && present->value == value;
    return CreateResult{is_ours, is_ours ? "" : present->value};
}

Result<bool> Etcd::put_if_lease(const std::string& key, const std::string& value, std::int64_t lease,
                                const env::Context& context) {
    const Json put{{"key", base64_encode(key)}, {"value", base64_encode(value)}, {"lease", std::to_string(lease)}};
    const Json body = transaction(has_lease(key, lease), {{"request_put", put}}, key);
    AETERNA_ASSIGN(const Answer answer, call("/v3/kv/txn", body, context));
    return find_boolean(*answer, "succeeded").value_or(false);
}

Result<bool> Etcd::remove_if_lease(const std::string& key, std::int64_t lease, const env::Context& context) {
    const Json body = transaction(has_lease(key, lease), removal(key), key);
    AETERNA_ASSIGN(const Answer answer, call("/v3/kv/txn", body, context));
    if (find_boolean(*answer, "succeeded").value_or(false)) return true;
    AETERNA_ASSIGN(const auto present, read_present(*answer));
    return !present.has_value();
}

Result<bool> Etcd::remove_if(const std::string& key, const std::vector<EtcdCondition>& conditions,
                             const env::Context& context, const std::optional<EtcdPut>& instead) {
    Json body{{"compare", comparisons(conditions)}, {"success", Json::array({removal(key)})}};
    if (instead)
        body["success"].push_back(
            {{"request_put", {{"key", base64_encode(instead->key)}, {"value", base64_encode(instead->value)}}}});
    AETERNA_ASSIGN(const Answer answer, call("/v3/kv/txn", body, context));
    return find_boolean(*answer, "succeeded").value_or(false);
}

// No revision is negative.
Status Etcd::check_write(const std::string& key, const env::Context& context) {
    const Json put{{"request_put", {{"key", base64_encode(key)}, {"value", ""}}}};
    const Json body{{"compare", comparisons({{key, std::nullopt, -1, std::nullopt}})},
                    {"success", Json::array({put})}};
    AETERNA_ASSIGN(const Answer answer, call("/v3/kv/txn", body, context));
    if (!find_boolean(*answer, "succeeded").value_or(false)) return {};
    return make_error(ErrorCode::kProtocol, fmt::format("etcd found a negative revision of '{}'", key));
}

EtcdMemberHealth Etcd::ask_health(const std::string& endpoint, const env::Context& context) {
    EtcdMemberHealth health;
    health.endpoint = endpoint;
    env::HttpRequest request;
    request.url = endpoint + "/health";
    request.tls = settings_.tls;
    const auto response = env_.http.send(request, context);
    if (!response) {
        health.reason = response.error().to_string();
        return health;
    }
    const auto document = parse_json(response->body, fmt::format("etcd at '{}'", endpoint));
    const auto said = document ? find_string(*document, "health") : std::nullopt;
    if (!said) {
        health.reason = fmt::format("status {} without a health", response->status);
        return health;
    }
    health.answered = true;
    health.has_leader = *said == "true";
    if (!health.has_leader) health.reason = find_string(*document, "reason").value_or("unhealthy");
    return health;
}

std::vector<EtcdMemberHealth> Etcd::health(Duration timeout, const env::Context& context) {
    const env::Context narrowed = env_.clock.within(timeout, context);
    std::vector<EtcdMemberHealth> result(settings_.endpoints.size());
    std::vector<std::unique_ptr<env::Thread>> threads;
    for (std::size_t i = 0; i < result.size(); ++i) {
        threads.push_back(env_.threads.start("etcd-health", [this, i, &result, &narrowed](std::stop_token) {
            result[i] = ask_health(settings_.endpoints[i], narrowed);
        }));
    }
    for (const auto& thread : threads) thread->join();
    return result;
}

}  // namespace aeterna::services
