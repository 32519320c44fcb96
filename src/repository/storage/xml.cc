// Over expat, which checks well-formedness and bounds amplification itself.
#include "repository/storage/xml.h"

#include <expat.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/strings.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kDepthLimit = 16;
constexpr std::size_t kNodeLimit = 100'000;

struct Building {
    XML_Parser parser = nullptr;
    XmlNode document;  // its one child is the root
    std::vector<XmlNode*> open{&document};
    std::size_t nodes = 0;
};

void XMLCALL on_start(void* user, const XML_Char* name, const XML_Char**) {
    Building& building = *static_cast<Building*>(user);
    if (building.open.size() > kDepthLimit || ++building.nodes > kNodeLimit) {
        XML_StopParser(building.parser, XML_FALSE);
        return;
    }
    const std::string_view full = name;
    const std::size_t colon = full.rfind(':');
    XmlNode node;
    node.name = colon == std::string_view::npos ? full : full.substr(colon + 1);
    auto& siblings = building.open.back()->children;
    siblings.push_back(std::move(node));
    building.open.push_back(&siblings.back());  // siblings do not move before this one is closed
}

// Calls may still come after the parser was stopped.
void XMLCALL on_end(void* user, const XML_Char*) {
    Building& building = *static_cast<Building*>(user);
    if (building.open.size() > 1) building.open.pop_back();
}

void XMLCALL on_text(void* user, const XML_Char* text, int size) {
    static_cast<Building*>(user)->open.back()->text.append(text, static_cast<std::size_t>(size));
}

void XMLCALL on_document_type(void* user, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    XML_StopParser(static_cast<Building*>(user)->parser, XML_FALSE);
}

}  // namespace

const XmlNode* XmlNode::find(std::string_view child) const {
    for (const XmlNode& node : children) {
        if (node.name == child) return &node;
    }
    return nullptr;
}

const std::string& XmlNode::text_of(std::string_view child) const {
    static const std::string kNone;
    const XmlNode* node = find(child);
    return node == nullptr ? kNone : node->text;
}

Result<XmlNode> parse_xml(std::string_view document) {
    // S3 sends blanks to keep a long answer's connection alive.
    document = document.substr(std::min(document.find_first_not_of(" \t\r\n"), document.size()));
    const std::unique_ptr<std::remove_pointer_t<XML_Parser>, decltype(&XML_ParserFree)> parser(
        XML_ParserCreate(nullptr), &XML_ParserFree);
    Building building;
    building.parser = parser.get();
    XML_SetUserData(parser.get(), &building);
    XML_SetElementHandler(parser.get(), on_start, on_end);
    XML_SetCharacterDataHandler(parser.get(), on_text);
    XML_SetStartDoctypeDeclHandler(parser.get(), on_document_type);
    if (XML_Parse(parser.get(), document.data(), static_cast<int>(document.size()), 1) != XML_STATUS_OK) {
        return make_error(ErrorCode::kProtocol,
                          fmt::format("the answer is no proper XML: {} in '{}'",
                                      XML_ErrorString(XML_GetErrorCode(parser.get())), one_line(document, 60)));
    }
    return std::move(building.document.children.front());
}

}  // namespace aeterna::repository
