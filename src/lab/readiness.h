// Is the lab healthy? Each check asks the servers themselves, once, within the context, and returns
// nothing or the reason why not ("redis-2: the link to its master is down"). They change nothing,
// except that PostgreSQL's writes one row of the lab's own table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "env/env.h"
#include "lab/layout.h"
#include "lab/secrets.h"

namespace aeterna::lab {

using Reason = std::optional<std::string>;

struct CheckContext {
    const Layout& layout;
    const Secrets& secrets;
    const env::Env& env;
};

[[nodiscard]] Reason check_etcd(const CheckContext& lab, const env::Context& context);
// One leader, two streaming replicas, by each Patroni's own word; in synchronous mode a synchronous
// standby.
[[nodiscard]] Reason check_patroni(const CheckContext& lab, const env::Context& context);
// The node whose Patroni says it is the leader of a running PostgreSQL; nothing when there is none.
[[nodiscard]] std::optional<int> find_leader(const CheckContext& lab, const env::Context& context);
// A write through HAProxy as our own role.
[[nodiscard]] Reason check_client_write(const CheckContext& lab, const env::Context& context);
[[nodiscard]] Reason check_redis(const CheckContext& lab, const env::Context& context);
// Every Sentinel knows two replicas and two other Sentinels and says that the quorum can be
// reached.
[[nodiscard]] Reason check_sentinel(const CheckContext& lab, const env::Context& context);
// One node answers.
[[nodiscard]] Reason check_qdrant_node(const CheckContext& lab, int host,
                                       const env::Context& context);
// All answer and name the same three peers and the same leader.
[[nodiscard]] Reason check_qdrant(const CheckContext& lab, const env::Context& context);
[[nodiscard]] Reason check_prometheus(const CheckContext& lab, const env::Context& context);
[[nodiscard]] Reason check_exporters(const CheckContext& lab, const env::Context& context);
[[nodiscard]] Reason check_serve(const CheckContext& lab, const env::Context& context);

// All of them at once, each bounded by `timeout`; the reasons of those that failed.
[[nodiscard]] std::vector<std::string> check_all(const CheckContext& lab, bool with_serve,
                                                 Duration timeout, const env::Context& context);

}  // namespace aeterna::lab
