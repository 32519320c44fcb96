// The list of stores: the only place in the house that names them. Everything else asks here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/stack.h"
#include "engine/store.h"

namespace aeterna::app {

// A stack file with its stores opened. Not movable: stores refer to `stack`.
struct OpenStack {
    OpenStack() = default;
    OpenStack(const OpenStack&) = delete;
    OpenStack& operator=(const OpenStack&) = delete;

    config::Stack stack;
    std::vector<std::unique_ptr<engine::Store>> stores;  // in file order

    // kUsage, naming the stores there are, when `name` is none of them.
    [[nodiscard]] Result<engine::Store*> find(const std::string& name) const;
};

// Every store that this program knows.
[[nodiscard]] const std::vector<std::unique_ptr<engine::StoreModule>>& store_modules();

// Opens every store of the stack file, in file order. kConfiguration with file and line for a store that no
// module knows, for a store's own wrong settings, and for keys that nobody read. No network.
[[nodiscard]] Result<std::vector<std::unique_ptr<engine::Store>>> open_stores(
    const config::Stack& stack, const std::vector<std::unique_ptr<engine::StoreModule>>& modules,
    const env::Env& env);

// Loads the stack file and opens its stores.
[[nodiscard]] Result<std::unique_ptr<OpenStack>> open_stack(const std::string& path, const env::Env& env);

// What the stores bring to a drill; one that brings nothing is left out. They refer to `open`.
[[nodiscard]] std::vector<std::unique_ptr<engine::DrillStore>> drill_stores(const OpenStack& open);

// The runbook that answers an incident of this detector by policy; nothing when a person has to decide.
[[nodiscard]] std::optional<std::string> reaction_to(std::string_view detector);

}  // namespace aeterna::app
