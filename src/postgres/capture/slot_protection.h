// Does Patroni leave a slot alone that it does not know? Pure. Patroni drops every inactive slot that no member and no
// permanent `slots:` entry wants, unless an entry of `ignore_slots` matches it (patroni/postgresql/slots.py).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// `config` is the document of GET /config, or of the key config in etcd.
[[nodiscard]] bool protects_slot(const Json& config, const std::string& slot);
// kProtocol when the text is no JSON.
[[nodiscard]] Result<bool> is_slot_protected(std::string_view config, const std::string& slot);
// As the first node says that gives its configuration; nothing when none does.
[[nodiscard]] std::optional<bool> ask_slot_protection(
    const Settings& settings, const std::function<Result<std::string>(const NodeSettings&)>& config_of);
// What PATCH /config wants to protect it.
[[nodiscard]] std::string protection_hint(const std::string& slot);

}  // namespace aeterna::postgres
