// Does Patroni leave a slot alone that it does not know? Pure. Patroni drops every inactive slot that no member and no
// permanent `slots:` entry wants, unless an entry of `ignore_slots` matches it (patroni/postgresql/slots.py).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace aeterna::postgres {

// `config` is the document of GET /config; kProtocol when it is none.
[[nodiscard]] Result<bool> is_slot_protected(std::string_view config, const std::string& slot);
// What PATCH /config wants to protect it.
[[nodiscard]] std::string protection_hint(const std::string& slot);

}  // namespace aeterna::postgres
