// etcd v3 through its gRPC gateway (JSON over HTTP, prefix /v3; keys and values base64, 64-bit integers as text).
// Reads are linearizable unless said otherwise. Endpoints are tried in turn within the context.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "config/stack.h"
#include "env/env.h"

namespace aeterna::services {

struct EtcdKeyValue {
    std::string key;
    std::string value;
    std::int64_t create_revision = 0;
    std::int64_t mod_revision = 0;
    std::int64_t lease = 0;  // 0 = none
};

using EtcdListing = std::shared_ptr<const std::vector<EtcdKeyValue>>;

struct EtcdMemberHealth {
    std::string endpoint;
    bool answered = false;
    bool has_leader = false;  // /health says "true" only with a leader
    std::string reason;       // why not
};

struct EtcdLease {
    std::int64_t id = 0;
    std::int64_t ttl_seconds = -1;          // remaining; -1 = expired or unknown
    std::int64_t granted_ttl_seconds = 0;
};

// What must be true of a key; members that are set are compared, all of them.
struct EtcdCondition {
    std::string key;
    std::optional<std::string> value;
    std::optional<std::int64_t> mod_revision;
    std::optional<std::int64_t> lease;
};

struct EtcdPut {
    std::string key;
    std::string value;
};

class Etcd {
  public:
    Etcd(config::EtcdSettings settings, const env::Env& env);

    // Nothing when the key does not exist. `serializable` accepts a stale answer of one member.
    [[nodiscard]] Result<std::optional<EtcdKeyValue>> get(const std::string& key, const env::Context& context,
                                                          bool serializable = false);
    // While nothing changes it is the same object as before.
    [[nodiscard]] Result<EtcdListing> list(const std::string& prefix, const env::Context& context);
    [[nodiscard]] Result<EtcdLease> lease_time_to_live(std::int64_t lease, const env::Context& context);
    [[nodiscard]] Result<std::int64_t> grant_lease(std::int64_t ttl_seconds, const env::Context& context);
    Status keep_alive(std::int64_t lease, const env::Context& context);
    Status revoke_lease(std::int64_t lease, const env::Context& context);
    // Creates the key under the lease if it does not exist; false with the present value otherwise.
    struct CreateResult {
        bool created = false;
        std::string present_value;
    };
    [[nodiscard]] Result<CreateResult> create(const std::string& key, const std::string& value,
                                              std::int64_t lease, const env::Context& context);
    // Replaces the key's value while its lease is `lease`; false when the key is gone or another's.
    [[nodiscard]] Result<bool> put_if_lease(const std::string& key, const std::string& value, std::int64_t lease,
                                            const env::Context& context);
    // Deletes the key when its lease is `lease`; false when it was another's.
    [[nodiscard]] Result<bool> remove_if_lease(const std::string& key, std::int64_t lease,
                                               const env::Context& context);
    // Deletes the key, in one transaction, if all conditions hold, and puts `instead` (another key); false when one does
    // not. Repeating it is harmless.
    [[nodiscard]] Result<bool> remove_if(const std::string& key, const std::vector<EtcdCondition>& conditions,
                                         const env::Context& context,
                                         const std::optional<EtcdPut>& instead = std::nullopt);
    // May we put and delete this key (etcd has one right for both)? Asked with a transaction whose condition never holds:
    // etcd checks the rights of its branches before it compares. Changes nothing.
    Status check_write(const std::string& key, const env::Context& context);
    // Every endpoint's own opinion; each asked with its own time-out.
    [[nodiscard]] std::vector<EtcdMemberHealth> health(Duration timeout, const env::Context& context);
    [[nodiscard]] const std::vector<std::string>& endpoints() const { return settings_.endpoints; }

  private:
    using Answer = std::shared_ptr<const Json>;
    // The last range: a poll mostly finds what the one before it found, and reading it anew is most of its cost.
    struct Memory {
        std::mutex mutex;
        std::string text;
        Answer answer, listed;
        EtcdListing listing;
    };

    [[nodiscard]] Result<Answer> call(const std::string& path, const Json& body, const env::Context& context);
    [[nodiscard]] Result<Answer> call_first(const std::vector<std::string>& paths, const Json& body,
                                          const env::Context& context);
    [[nodiscard]] Result<Answer> ask(const std::string& endpoint, const std::string& path, const Json& body,
                                   const env::Context& context);
    [[nodiscard]] Result<std::string> token_of(const std::string& endpoint, const env::Context& context);
    [[nodiscard]] Result<Answer> post(const std::string& endpoint, const std::string& path, const Json& body,
                                    const std::string& token, const env::Context& context);
    [[nodiscard]] EtcdMemberHealth ask_health(const std::string& endpoint, const env::Context& context);

    config::EtcdSettings settings_;
    const env::Env& env_;
    std::shared_ptr<config::EtcdSession> session_;  // never null; shared by copies
    std::shared_ptr<Memory> memory_;                // never null; shared by copies
};

}  // namespace aeterna::services
