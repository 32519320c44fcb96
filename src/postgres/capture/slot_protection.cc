#include "postgres/capture/slot_protection.h"

#include <fmt/format.h>

namespace aeterna::postgres {

Result<bool> is_slot_protected(std::string_view config, const std::string& slot) {
    AETERNA_ASSIGN(const Json document, parse_json(config, "Patroni's configuration"));
    return protects_slot(document, slot);
}

bool protects_slot(const Json& document, const std::string& slot) {
    const Json* permanent = find_member(document, "slots");
    if (permanent && permanent->is_object()) {
        const Json* entry = find_member(*permanent, slot);
        if (entry && find_string(*entry, "type").value_or("") == "physical") return true;
    }
    const Json* ignored = find_member(document, "ignore_slots");
    if (!ignored || !ignored->is_array()) return false;
    for (const Json& matcher : *ignored) {
        if (!matcher.is_object()) continue;
        // An attribute that the entry does not name matches anything; a physical slot has no database and no plugin.
        const bool fits = find_string(matcher, "name").value_or(slot) == slot &&
                          find_string(matcher, "type").value_or("physical") == "physical" &&
                          find_string(matcher, "database").value_or("").empty() &&
                          find_string(matcher, "plugin").value_or("").empty();
        if (fits) return true;
    }
    return false;
}

std::optional<bool> ask_slot_protection(const Settings& settings,
                                        const std::function<Result<std::string>(const NodeSettings&)>& config_of) {
    for (const NodeSettings& node : settings.nodes) {
        const auto config = config_of(node);
        const auto is_protected = config ? is_slot_protected(*config, settings.slot) : Result<bool>(config.error());
        if (is_protected) return *is_protected;
    }
    return std::nullopt;
}

std::string protection_hint(const std::string& slot) {
    return fmt::format("PATCH {{\"ignore_slots\":[{{\"name\":\"{}\",\"type\":\"physical\"}}]}} to Patroni's /config", slot);
}

}  // namespace aeterna::postgres
