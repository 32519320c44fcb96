// The stack file for people: the table of its options and a commented example. The tests hold both together and
// against the readers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace aeterna::app {

struct StackOption {
    std::string_view key;       // "stores.postgres.nodes[].address"
    std::string_view type;      // text, duration, HOST:PORT …
    std::string_view fallback;  // "required", or the default
    std::string_view help;
};

// In the order of the file.
[[nodiscard]] const std::vector<StackOption>& stack_options();
[[nodiscard]] std::string_view stack_example();

}  // namespace aeterna::app
