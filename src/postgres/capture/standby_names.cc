#include "postgres/capture/standby_names.h"

#include <string>
#include <vector>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

// The words of a list, quotes taken off; what counts the standbys before a parenthesis is none of them.
std::vector<std::string> list_standbys(std::string_view list) {
    std::vector<std::string> names;
    std::string word;
    bool is_quoted = false;
    const auto end_word = [&] {
        const std::string name = lower(trim(word));
        if (!name.empty()) names.push_back(name);
        word.clear();
    };
    for (const char sign : list) {
        if (sign == '"') {
            is_quoted = !is_quoted;  // a doubled one stands for itself, which no name of ours has
        } else if (!is_quoted && sign == '(') {
            word.clear();
        } else if (!is_quoted && (sign == ',' || sign == ')')) {
            end_word();
        } else {
            word += sign;
        }
    }
    end_word();
    return names;
}

}  // namespace

bool is_named_standby(std::string_view synchronous_standby_names, std::string_view standby) {
    bool is_named = false;
    for (const std::string& name : list_standbys(synchronous_standby_names)) {
        if (name == "*") return false;
        is_named = is_named || name == standby;
    }
    return is_named;
}

}  // namespace aeterna::postgres
