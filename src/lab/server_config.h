// The configuration files of the lab's servers, as text. Pure: the same layout and secrets give the
// same text. Timings of Patroni, Sentinel and HAProxy are the stock ones, because that is what
// users run.
#pragma once

#include <string>

#include "lab/layout.h"
#include "lab/programs.h"
#include "lab/secrets.h"

namespace aeterna::lab {

inline constexpr const char* kScope = "aeterna";
inline constexpr const char* kNamespace = "/service/";
inline constexpr const char* kMasterName = "aeterna-master";
inline constexpr const char* kDatabase = "aeterna";
inline constexpr const char* kRole = "aeterna_dr";  // ours: no superuser
inline constexpr const char* kExporterRole = "aeterna_exporter";

// Patroni of `host`, and through it PostgreSQL. Parameters:
// https://patroni.readthedocs.io/en/latest/patroni_configuration.html
[[nodiscard]] std::string patroni_config(const Layout& layout, const Secrets& secrets,
                                         const Programs& programs, int host);
// Of the very first start only: Redis and Sentinel rewrite their files afterwards. redis-1 begins
// as the master.
[[nodiscard]] std::string redis_config(const Layout& layout, const Secrets& secrets, int host);
[[nodiscard]] std::string sentinel_config(const Layout& layout, const Secrets& secrets, int host);
// HAProxy in front of PostgreSQL, after the example that Patroni ships.
[[nodiscard]] std::string haproxy_config(const Layout& layout);
[[nodiscard]] std::string prometheus_config(const Layout& layout);
// Of the Qdrant stand-in (lab/stand_in/stand_in.h).
[[nodiscard]] std::string stand_in_config(const Layout& layout, int host);

}  // namespace aeterna::lab
