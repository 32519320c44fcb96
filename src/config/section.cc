// The strict readers over the tree of yaml_tree.h: every message says where, what, and in its hint what to do.
#include "config/section.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/strings.h"
#include "base/url.h"
#include "config/yaml_tree.h"

namespace aeterna::config {

namespace {

using Node = Section::Node;
constexpr const char* kNodeName = "node name";
constexpr const char* kListHint = "Begin each of its entries with '- ', as in '- name: NAME'.";
constexpr const char* kUrlHint = "Write it as http://HOST:PORT or https://HOST:PORT.";
constexpr std::size_t kDocumentLimitBytes = 1 << 20;
constexpr std::size_t kSecretLimitBytes = 64 << 10;

std::string kind_words(const Node& node) {
    switch (node.kind) {
        case Node::Kind::kScalar: return "a plain value";
        case Node::Kind::kMapping: return "a mapping";
        case Node::Kind::kList: return "a list";
        case Node::Kind::kNull: return "nothing";
    }
    return "something else";
}

// The first unread key beneath `node`, in file order. `skip` is left out with all beneath it.
void report_unknown(Section::Document& document, const Node& node, const Node* skip) {
    if (&node == skip || document.error) return;
    for (const Node::Entry& entry : node.entries) {
        if (entry.read) {
            report_unknown(document, *entry.value, skip);
            continue;
        }
        const std::vector<std::string> known(node.asked.begin(), node.asked.end());
        document.fail(entry.line, fmt::format("unknown key '{}'", shown(entry.key)),
                      known.empty() ? "Remove it." : fmt::format("Known keys here: {}.", join(known, ", ")));
    }
    for (const auto& item : node.items) report_unknown(document, *item, skip);
}

void report_unclaimed(Section::Document& document) {
    for (const auto& [name, line] : document.references) {
        if (document.claims.contains({kNodeName, name})) continue;
        document.fail(line, fmt::format("'{}' is the name of no store's node or agent", shown(name)),
                      "Correct the name, or remove the process.");
    }
}

// How many bytes the printable character at the start of `text` has; 0: none is there.
std::size_t utf8_length(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    if (at(0) < 0x80) return at(0) >= 0x20 && at(0) != 0x7f ? 1 : 0;
    const std::size_t length = at(0) >= 0xc2 && at(0) < 0xe0 ? 2 : at(0) >= 0xe0 && at(0) < 0xf0 ? 3
                             : at(0) >= 0xf0 && at(0) < 0xf5 ? 4 : 0;
    if (length == 0 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80) return 0;
    }
    const bool is_control = length == 2 && at(0) == 0xc2 && at(1) < 0xa0;  // C1
    return is_control ? 0 : length;
}

// "host:port" of a URL is checked as an address; without a port the scheme's own is meant.
bool is_url(const std::string& url) {
    const std::size_t start = url.starts_with("http://") ? 7 : url.starts_with("https://") ? 8 : 0;
    if (start == 0) return false;
    const std::string authority = url.substr(start, url.find('/', start) - start);
    const bool is_v6 = authority.starts_with('[');
    const bool has_port = authority.find(':', is_v6 ? authority.find(']') : 0) != std::string::npos;
    const bool is_text = std::all_of(url.begin(), url.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    return is_text && env::parse_endpoint(has_port ? authority : authority + ":80").has_value();
}

std::string directory_of(const std::string& file) {
    const std::size_t slash = file.rfind('/');
    return slash == std::string::npos ? "" : file.substr(0, slash + 1);
}

}  // namespace

std::string shown(std::string_view text) {
    constexpr std::size_t kLimit = 120;
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (result.size() > kLimit) return result + "…";
        const std::size_t length = utf8_length(text.substr(i));
        if (length == 0) {
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
        } else {
            result += text.substr(i, length);
            i += length - 1;
        }
    }
    return result;
}

Section::Section(std::shared_ptr<Document> document, std::shared_ptr<Node> node)
    : document_(std::move(document)), node_(std::move(node)) {}

Result<Section> Section::parse(const std::string& text, const std::string& file_name) {
    auto document = std::make_shared<Document>();
    document->file_name = file_name;
    if (text.size() > kDocumentLimitBytes) {
        document->fail(1, "larger than 1 MiB", "A stack file is a few KiB; is this the right file?");
    } else {
        parse_into(*document, text);
    }
    if (!document->error && !document->root) document->fail(1, "the file is empty", "Write one with `aeterna-dr config init`.");
    if (!document->error && document->root->kind != Node::Kind::kMapping) {
        document->fail(document->root->line, fmt::format("expected a mapping, found {}", kind_words(*document->root)),
                       "Begin with 'name: NAME'; `aeterna-dr config init` writes an example.");
    }
    if (document->error) return *document->error;
    return Section(document, document->root);
}

// The value of a key that was asked for; null values are errors, so that "key:" never means a default by accident.
Section::Node* Section::find(const std::string& key, bool required) {
    node_->asked.insert(key);
    Node::Entry* entry = node_->entry(key);
    if (entry == nullptr) {
        if (required) document_->fail(node_->line, fmt::format("missing key '{}'", key), fmt::format("Add '{}: …'.", key));
        return nullptr;
    }
    entry->read = true;
    if (entry->value->kind == Node::Kind::kNull) {
        document_->fail(entry->line, fmt::format("key '{}' has no value", key),
                        "Remove the key, or write \"\" for an empty text.");
        return nullptr;
    }
    return entry->value.get();
}

Section::Node* Section::find_scalar(const std::string& key, bool required) {
    Node* node = find(key, required);
    if (node != nullptr && node->kind != Node::Kind::kScalar) {
        fail(key, fmt::format("'{}' must be a plain value, not {}", key, kind_words(*node)),
             fmt::format("Write '{}: VALUE' on one line.", key));
        return nullptr;
    }
    return node;
}

bool Section::has(const std::string& key) const {
    node_->asked.insert(key);
    return node_->entry(key) != nullptr;
}

std::string Section::required_text(const std::string& key) {
    const Node* node = find_scalar(key, true);
    if (node != nullptr && node->scalar.empty()) {
        fail(key, fmt::format("'{}' must not be empty", key), "Write what it shall be.");
    }
    return node != nullptr ? node->scalar : "";
}

std::string Section::text(const std::string& key, const std::string& fallback) {
    const Node* node = find_scalar(key, false);
    return node != nullptr ? node->scalar : fallback;
}

std::string Section::word(const std::string& key, const std::string& fallback,
                          const std::vector<std::string>& allowed) {
    const std::string value = text(key, fallback);
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end() || value == fallback) return value;
    fail(key, fmt::format("'{}' must be one of {}, not '{}'", key, join(allowed, ", "), shown(value)),
         "Write one of these words.");
    return fallback;
}

std::int64_t Section::integer(const std::string& key, std::int64_t fallback, std::int64_t minimum,
                              std::int64_t maximum) {
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return fallback;
    const std::optional<std::int64_t> value = node->quoted ? std::nullopt : to_integer(node->scalar);
    if (value && *value >= minimum && *value <= maximum) return *value;
    fail(key, fmt::format("'{}' must be a whole number from {} to {}, not '{}'", key, minimum, maximum, shown(node->scalar)),
         "Write the number without quotes.");
    return fallback;
}

bool Section::boolean(const std::string& key, bool fallback) {
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return fallback;
    if (!node->quoted && node->scalar == "true") return true;
    if (!node->quoted && node->scalar == "false") return false;
    fail(key, fmt::format("'{}' must be true or false, not '{}'", key, shown(node->scalar)),
         "Write one of the two, without quotes.");
    return fallback;
}

Duration Section::duration(const std::string& key, Duration fallback) {
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return fallback;
    Result<Duration> value = parse_duration(node->scalar);
    if (value) return *value;
    fail(key, fmt::format("'{}': '{}' is not a duration", key, shown(node->scalar)), value.error().hint);
    return fallback;
}

std::uint64_t Section::bytes(const std::string& key, std::uint64_t fallback) {
    constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return fallback;
    const std::string_view text = node->scalar;
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto count = to_integer(text.substr(0, digits));
    const auto unit = std::find(kUnits.begin(), kUnits.end(), text.substr(digits));
    constexpr std::int64_t kMost = 1 << 20;  // of any unit
    if (count && *count >= 0 && *count <= kMost && unit != kUnits.end()) {
        return static_cast<std::uint64_t>(*count) << (10 * (unit - kUnits.begin()));
    }
    fail(key, fmt::format("'{}': '{}' is no size", key, shown(node->scalar)), "Write a whole number with its unit, such as 16GiB.");
    return fallback;
}

env::Endpoint Section::required_endpoint(const std::string& key) {
    if (find(key, true) == nullptr) return {};
    return endpoint(key).value_or(env::Endpoint{});
}

std::optional<env::Endpoint> Section::endpoint(const std::string& key) {
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return std::nullopt;
    Result<env::Endpoint> value = env::parse_endpoint(node->scalar);
    if (value) return *value;
    fail(key, fmt::format("'{}': '{}' is no address", key, shown(node->scalar)), value.error().hint);
    return std::nullopt;
}

std::vector<std::string> Section::texts(const std::string& key) {
    std::vector<std::string> values;
    const Node* node = find(key, false);
    if (node == nullptr) return values;
    if (node->kind != Node::Kind::kList) {
        fail(key, fmt::format("'{}' must be a list, not {}", key, kind_words(*node)),
             fmt::format("Write '{}: [ONE, TWO]'.", key));
        return values;
    }
    for (const auto& item : node->items) {
        if (item->kind != Node::Kind::kScalar) {
            document_->fail(item->line, fmt::format("'{}' must be a list of plain values", key),
                            fmt::format("Write '{}: [ONE, TWO]'.", key));
            return {};
        }
        values.push_back(item->scalar);
    }
    return values;
}

std::string Section::resolved(const std::string& path) const {
    return path.empty() || path.front() == '/' ? path : directory_of(document_->file_name) + path;
}

std::string Section::path(const std::string& key, const std::string& fallback) {
    const Node* node = find_scalar(key, false);
    return node != nullptr ? resolved(node->scalar) : fallback;
}

Secret Section::secret(const std::string& key, env::Files& files) {
    const std::string file_key = key + "_file";
    const std::string environment_key = key + "_environment";
    if (const Node::Entry* literal = node_->entry(key)) {
        document_->fail(literal->line, fmt::format("'{}' does not belong into the stack file", key),
                        fmt::format("Put it into a file and name that with {}.", file_key));
        return {};
    }
    const std::string file = path(file_key, "");
    const std::string variable = text(environment_key, "");
    if (!file.empty() && !variable.empty()) {
        fail(environment_key, fmt::format("both '{}' and '{}' are given", file_key, environment_key),
             "Keep one of the two.");
        return {};
    }
    if (!variable.empty()) {
        std::optional<std::string> value = files.environment_variable(variable);
        if (!value) {
            fail(environment_key, fmt::format("environment variable '{}' is not set", shown(variable)),
                 fmt::format("Set it for this program, or name a file with {}.", file_key));
        }
        return Secret(value.value_or(""));
    }
    if (file.empty()) return {};
    Result<std::string> content = files.read(file, kSecretLimitBytes);
    if (!content) {
        fail(file_key, fmt::format("cannot read '{}': {}", shown(file), content.error().to_string()),
             "Name a file that this user may read and that holds nothing but the secret.");
        return {};
    }
    while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) content->pop_back();
    if (content->empty()) fail(file_key, fmt::format("'{}' is empty", shown(file)), "Write the secret into it.");
    // Only the first line would be meant, or a NUL end it: in either case another secret than somebody thinks.
    if (content->find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
        fail(file_key, fmt::format("'{}' holds more than one line of text", shown(file)),
             "Keep the secret alone in it, on one line.");
    }
    return Secret(std::move(*content));
}

Section Section::section(const std::string& key) {
    auto empty = std::make_shared<Node>();
    empty->kind = Node::Kind::kMapping;
    empty->line = node_->line;
    if (const Node* node = find(key, false); node == nullptr) return Section(document_, empty);
    const std::shared_ptr<Node>& value = node_->entry(key)->value;
    if (value->kind == Node::Kind::kMapping) return Section(document_, value);
    fail(key, fmt::format("'{}' must be a mapping, not {}", key, kind_words(*value)),
         fmt::format("Write '{}:' and below it, indented, its keys.", shown(key)));
    return Section(document_, empty);
}

std::vector<Section> Section::list(const std::string& key) {
    std::vector<Section> sections;
    const Node* node = find(key, false);
    if (node == nullptr) return sections;
    if (node->kind != Node::Kind::kList) {
        fail(key, fmt::format("'{}' must be a list of mappings, not {}", key, kind_words(*node)), kListHint);
        return sections;
    }
    for (const auto& item : node->items) {
        if (item->kind != Node::Kind::kMapping) {
            document_->fail(item->line, fmt::format("'{}' must be a list of mappings", key), kListHint);
            return {};
        }
        sections.push_back(Section(document_, item));
    }
    return sections;
}

std::vector<std::pair<std::string, Section>> Section::children(const std::string& key) {
    std::vector<std::pair<std::string, Section>> result;
    Section parent = section(key);
    for (const Node::Entry& entry : parent.node_->entries) {
        result.emplace_back(entry.key, parent.section(entry.key));
    }
    return result;
}

int Section::line_of(const std::string& key) const {
    const Node::Entry* entry = node_->entry(key);
    return entry != nullptr ? entry->line : node_->line;
}

void Section::fail(const std::string& key, const std::string& message, const std::string& hint) {
    document_->fail(line_of(key), message, hint);
}

void Section::claim(const std::string& key, const std::string& kind, const std::string& value) {
    if (value.empty()) return;
    const int line = line_of(key);
    const auto [first, is_new] = document_->claims.try_emplace({kind, value}, line);
    if (is_new) return;
    fail(key, fmt::format("the {} '{}' is used twice; first in line {}", kind, shown(value), first->second),
         fmt::format("Give each its own {}.", kind));
}

void Section::refer_to_node(const std::string& key) {
    const Node::Entry* entry = node_->entry(key);
    if (entry != nullptr) document_->references.emplace_back(entry->value->scalar, entry->line);
}

std::string Section::required_url(const std::string& key) {
    std::string url = required_text(key);
    if (!url.empty() && !is_url(url)) fail(key, fmt::format("'{}': '{}' is no http(s) address", key, shown(url)), kUrlHint);
    return without_final_slashes(std::move(url));
}

std::vector<std::string> Section::urls(const std::string& key) {
    std::vector<std::string> all = texts(key);
    for (std::string& url : all) {
        if (!is_url(url)) fail(key, fmt::format("'{}': '{}' is no http(s) address", key, shown(url)), kUrlHint);
        url = without_final_slashes(std::move(url));
    }
    return all;
}

std::string Section::required_node(const std::string& key) {
    std::string name = required_text(key);
    const auto is_word = [](unsigned char c) { return std::isalnum(c) != 0 && c < 0x80; };
    const bool is_good = name.size() <= 63 && (name.empty() || is_word(name.front())) &&
                         std::all_of(name.begin(), name.end(), [&](unsigned char c) {
                             return is_word(c) || c == '.' || c == '_' || c == '-';
                         });
    if (!is_good) {
        fail(key, fmt::format("'{}' is no node name", shown(name)),
             "Use letters, digits, '.', '_' and '-', up to 63, and begin with a letter or digit.");
    }
    return name;
}

Status Section::finish() const {
    report_unknown(*document_, *document_->root, nullptr);
    report_unclaimed(*document_);
    if (document_->error) return *document_->error;
    return {};
}

Status Section::finish_except(const std::string& key) const {
    const Node::Entry* entry = node_->entry(key);
    report_unknown(*document_, *document_->root, entry != nullptr ? entry->value.get() : nullptr);
    if (document_->error) return *document_->error;
    return {};
}

std::string Section::location() const { return fmt::format("{}:{}", document_->file_name, node_->line); }

}  // namespace aeterna::config
