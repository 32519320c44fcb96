#include "app/cli/store_options.h"

#include <CLI/CLI.hpp>

namespace aeterna::app {

void add_store_options(CLI::App& command, const std::vector<engine::CommandOption>& options,
                       engine::OptionValues& values) {
    for (const engine::CommandOption& option : options) {
        if (option.is_flag) {
            command.add_flag_callback(
                "--" + option.name, [&value = values[option.name]] { value = {"1"}; }, option.help);
            continue;
        }
        CLI::Option* added =
            command.add_option("--" + option.name, values[option.name], option.help)->type_name(option.type);
        added->expected(1);
        if (option.is_list)
            added->expected(1, -1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
        if (!option.allowed.empty()) added->check(CLI::IsMember(option.allowed));
    }
}

}  // namespace aeterna::app
