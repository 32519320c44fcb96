// The few XML documents that S3 and STS answer with, as a tree. Strict: well-formed, no document type (so no entities
// of its own), bounded depth and number of elements. Namespaces and attributes are dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aeterna::repository {

struct XmlNode {
    std::string name;
    std::string text;  // of this element alone, without its children's
    std::vector<XmlNode> children;

    // The first child of that name, or null.
    [[nodiscard]] const XmlNode* find(std::string_view child) const;
    // Its text; empty where there is none.
    [[nodiscard]] const std::string& text_of(std::string_view child) const;
};

// kProtocol for anything else.
[[nodiscard]] Result<XmlNode> parse_xml(std::string_view document);

}  // namespace aeterna::repository
