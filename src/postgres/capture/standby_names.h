// What synchronous_standby_names says of one standby. Pure.
#pragma once

#include <string_view>

namespace aeterna::postgres {

// Whether the list names this standby, which is lower case, and names nobody by "*": then a commit may be released by any standby
// that flushes, and who takes over is not asked. Patroni 3.0.2 writes "*" in its strict mode while nobody else is fit, so that
// commits wait (ha.py, process_sync_replication). Forms and quotes as in PostgreSQL's syncrep_gram.y and syncrep_scanner.l.
[[nodiscard]] bool is_named_standby(std::string_view synchronous_standby_names, std::string_view standby);

}  // namespace aeterna::postgres
