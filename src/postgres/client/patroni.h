// Patroni's REST interface of one node. Blocking, within the context. Errors as in env/net.h, plus
// kAuthentication (401, 403), kProtocol (wrong JSON), kUnavailable (5xx). No state; a copy per
// thread is not needed.
#pragma once

#include "env/env.h"
#include "postgres/client/patroni_json.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// How Patroni answered a request to act. Replies are plain text for people.
enum class ActionOutcome {
    kDone,        // 200, also "switched over to another node instead of …": re-read who leads
    kScheduled,   // 202
    kImpossible,  // 400, 409, 412, 422: nothing was changed; the text says why
    kUnknown,     // 503 "… status unknown", a time-out, a lost connection: it may still happen;
                  // re-read
};

struct ActionReply {
    ActionOutcome outcome = ActionOutcome::kUnknown;
    int status = 0;  // HTTP; 0 = no answer
    std::string text;
};

class Patroni {
  public:
    Patroni(const Settings& settings, const env::Env& env) : settings_(settings), env_(env) {}

    [[nodiscard]] Result<PatroniNode> node(const NodeSettings& at,
                                           const env::Context& context) const;
    [[nodiscard]] Result<PatroniCluster> cluster(const NodeSettings& at,
                                                 const env::Context& context) const;
    [[nodiscard]] Result<PatroniConfig> config(const NodeSettings& at,
                                               const env::Context& context) const;
    // The same document as it came.
    [[nodiscard]] Result<std::string> config_text(const NodeSettings& at, const env::Context& context) const {
        return get(at, "/config", context);
    }
    [[nodiscard]] Result<std::vector<PatroniHistoryEntry>> history(
        const NodeSettings& at, const env::Context& context) const;
    // GET /primary: true means "held the lock within ttl", not that PostgreSQL runs.
    [[nodiscard]] Result<bool> holds_lock(const NodeSettings& at,
                                          const env::Context& context) const;

    // Blocks up to 2 × max(10 s, loop_wait) and Patroni's time with etcd: give it kActionTimeout.
    // An Error only when the request was certainly not received (refused) or not permitted.
    [[nodiscard]] Result<ActionReply> switchover(const NodeSettings& at, const std::string& leader,
                                                 const std::string& candidate,
                                                 const env::Context& context) const;
    [[nodiscard]] Result<ActionReply> failover(const NodeSettings& at, const std::string& candidate,
                                               const env::Context& context) const;

    // Removes the member's data and makes it anew from the leader; returns when that has begun. Not on the leader.
    [[nodiscard]] Result<ActionReply> reinitialize(const NodeSettings& at, const env::Context& context) const;

    static constexpr Duration kActionTimeout = std::chrono::seconds(35);

  private:
    [[nodiscard]] Result<env::HttpResponse> send(const NodeSettings& at, const std::string& method,
                                                 const std::string& path, const std::string& body,
                                                 const env::Context& context) const;
    [[nodiscard]] Result<std::string> get(const NodeSettings& at, const std::string& path,
                                          const env::Context& context) const;
    [[nodiscard]] Result<ActionReply> act(const NodeSettings& at, const std::string& path,
                                          const Json& body, const env::Context& context) const;

    const Settings& settings_;
    const env::Env& env_;
};

// The meaning of an HTTP status of /switchover and /failover.
[[nodiscard]] ActionOutcome action_outcome(int http_status);

}  // namespace aeterna::postgres
