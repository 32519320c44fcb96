// What a YAML file is turned into: our own tree with lines, and the one place where errors and claims of the whole
// document are kept. Private to config/.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/section.h"

namespace aeterna::config {

struct Section::Node {
    enum class Kind { kScalar, kMapping, kList, kNull };
    struct Entry {
        std::string key;
        int line = 0;
        std::shared_ptr<Node> value;
        bool read = false;
    };
    Kind kind = Kind::kNull;
    int line = 0;
    bool quoted = false;
    std::string scalar;
    std::vector<Entry> entries;                // of a mapping, in file order
    std::vector<std::shared_ptr<Node>> items;  // of a list
    std::set<std::string> asked;               // the keys somebody looked for: the known ones

    [[nodiscard]] Entry* entry(const std::string& key) {
        for (Entry& candidate : entries) {
            if (candidate.key == key) return &candidate;
        }
        return nullptr;
    }
};

struct Section::Document {
    std::string file_name;
    std::shared_ptr<Node> root;
    std::optional<Error> error;

    // What a value may be claimed for once only (a node's name, an address), with the line that did.
    std::map<std::pair<std::string, std::string>, int> claims;
    // Names that must be some node's, once everything is read.
    std::vector<std::pair<std::string, int>> references;

    void fail(int line, const std::string& message, const std::string& hint) {
        if (error) return;
        error = make_error(ErrorCode::kConfiguration, fmt::format("{}:{}: {}", file_name, line, message), hint);
    }
};

// Parses `text`; what is wrong ends up in `document.error`. YAML's own exceptions end here.
void parse_into(Section::Document& document, const std::string& text);

}  // namespace aeterna::config
