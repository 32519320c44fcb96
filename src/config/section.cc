// The strict reader of YAML, and the only file that knows yaml-cpp. The event interface is used, not yaml-cpp's node
// tree: it sees every key of a mapping (the node tree keeps duplicates silently) and every alias before it is expanded.
// Refused: duplicate keys, aliases and anchors, tags, several documents, keys that are no plain text, empty values.
// yaml-cpp bounds the nesting depth itself (DepthGuard); its exceptions end here.
#include "config/section.h"

#include <fmt/format.h>
#include <yaml-cpp/anchor.h>
#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/strings.h"

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

    void fail(int line, const std::string& message, const std::string& hint = "") {
        if (error) return;
        error = make_error(ErrorCode::kConfiguration, fmt::format("{}:{}: {}", file_name, line, message), hint);
    }
};

namespace {

using Node = Section::Node;
constexpr std::size_t kDocumentLimitBytes = 1 << 20;
constexpr std::size_t kKeyLimit = 1000;
constexpr std::size_t kSecretLimitBytes = 64 << 10;

// Builds our own tree from yaml-cpp's events.
class TreeBuilder final : public YAML::EventHandler {
  public:
    explicit TreeBuilder(Section::Document& document) : document_(document) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        refuse(mark, "?", anchor);
        add(make(Node::Kind::kNull, mark));
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        document_.fail(mark.line + 1, "aliases are not allowed", "Write the value out at each place.");
        add(make(Node::Kind::kNull, mark));
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        refuse(mark, tag, anchor);
        if (value.find('\0') != std::string::npos) document_.fail(mark.line + 1, "a value contains a NUL character");
        auto node = make(Node::Kind::kScalar, mark);
        node->scalar = value;
        node->quoted = tag == "!";
        const bool null_word = !node->quoted && (value == "~" || value == "null" || value.empty());
        if (null_word) node->kind = Node::Kind::kNull;
        add(std::move(node));
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        refuse(mark, tag, anchor);
        open(make(Node::Kind::kList, mark));
    }
    void OnSequenceEnd() override { open_.pop_back(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        refuse(mark, tag, anchor);
        open(make(Node::Kind::kMapping, mark));
    }
    void OnMapEnd() override { open_.pop_back(); }

  private:
    struct Open {
        std::shared_ptr<Node> node;
        std::optional<Node::Entry> pending;  // a mapping's key that waits for its value
    };

    static std::shared_ptr<Node> make(Node::Kind kind, const YAML::Mark& mark) {
        auto node = std::make_shared<Node>();
        node->kind = kind;
        node->line = mark.line + 1;
        return node;
    }

    void refuse(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        if (anchor != YAML::NullAnchor) document_.fail(mark.line + 1, "anchors are not allowed");
        const bool plain = tag.empty() || tag == "?" || tag == "!";
        if (!plain) document_.fail(mark.line + 1, fmt::format("tag '{}' is not allowed", one_line(tag, 60)));
    }

    void open(std::shared_ptr<Node> node) {
        add(node);
        open_.push_back({std::move(node), std::nullopt});
    }

    void add(std::shared_ptr<Node> node) {
        if (open_.empty()) {
            document_.root = std::move(node);
            return;
        }
        Open& parent = open_.back();
        if (parent.node->kind == Node::Kind::kList) {
            parent.node->items.push_back(std::move(node));
        } else if (!parent.pending) {
            begin_entry(parent, *node);
        } else {
            parent.pending->value = std::move(node);
            parent.node->entries.push_back(std::move(*parent.pending));
            parent.pending.reset();
        }
    }

    void begin_entry(Open& parent, const Node& key) {
        if (key.kind != Node::Kind::kScalar) document_.fail(key.line, "a key is not plain text");
        if (parent.node->entries.size() >= kKeyLimit) document_.fail(key.line, "too many keys in one mapping");
        if (document_.error) {
            // Searching on in a file that is refused anyway would only cost time.
        } else if (const Node::Entry* first = parent.node->entry(key.scalar)) {
            document_.fail(key.line,
                           fmt::format("duplicate key '{}'; the first is in line {}", one_line(key.scalar), first->line),
                           "Keep one of the two.");
        }
        parent.pending = Node::Entry{key.scalar, key.line, nullptr, false};
    }

    Section::Document& document_;
    std::vector<Open> open_;
};

void parse_into(Section::Document& document, const std::string& text) {
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        TreeBuilder builder(document);
        parser.HandleNextDocument(builder);
        TreeBuilder second(document);
        const std::shared_ptr<Node> root = document.root;
        if (parser.HandleNextDocument(second)) {
            document.fail(document.root ? document.root->line : 1, "more than one YAML document");
        }
        document.root = root;
    } catch (const YAML::Exception& problem) {
        document.fail(problem.mark.line + 1, fmt::format("not YAML: {}", one_line(problem.msg)));
    } catch (const std::exception& problem) {
        document.fail(1, fmt::format("not YAML: {}", one_line(problem.what())));
    }
}

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
        std::vector<std::string> known(node.asked.begin(), node.asked.end());
        document.fail(entry.line, fmt::format("unknown key '{}'", one_line(entry.key)),
                      known.empty() ? "Remove it." : fmt::format("Known keys here: {}.", join(known, ", ")));
    }
    for (const auto& item : node.items) report_unknown(document, *item, skip);
}

std::string directory_of(const std::string& file) {
    const std::size_t slash = file.rfind('/');
    return slash == std::string::npos ? "" : file.substr(0, slash + 1);
}

}  // namespace

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
    if (!document->error && !document->root) document->fail(1, "the file is empty");
    if (!document->error && document->root->kind != Node::Kind::kMapping) {
        document->fail(document->root->line, fmt::format("expected a mapping, found {}", kind_words(*document->root)));
    }
    if (document->error) return *document->error;
    return Section(document, document->root);
}

// The value of a key that was asked for; null values are errors, so that "key:" never means a default by accident.
Section::Node* Section::find(const std::string& key, bool required) {
    node_->asked.insert(key);
    Node::Entry* entry = node_->entry(key);
    if (entry == nullptr) {
        if (required) document_->fail(node_->line, fmt::format("missing key '{}'", key));
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
        fail(key, fmt::format("'{}' must be a plain value, not {}", key, kind_words(*node)));
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
    if (node != nullptr && node->scalar.empty()) fail(key, fmt::format("'{}' must not be empty", key));
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
    fail(key, fmt::format("'{}' must be one of {}, not '{}'", key, join(allowed, ", "), one_line(value)));
    return fallback;
}

std::int64_t Section::integer(const std::string& key, std::int64_t fallback, std::int64_t minimum,
                              std::int64_t maximum) {
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return fallback;
    const std::optional<std::int64_t> value = node->quoted ? std::nullopt : to_integer(node->scalar);
    if (value && *value >= minimum && *value <= maximum) return *value;
    fail(key, fmt::format("'{}' must be a whole number from {} to {}, not '{}'", key, minimum, maximum,
                          one_line(node->scalar)));
    return fallback;
}

bool Section::boolean(const std::string& key, bool fallback) {
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return fallback;
    if (!node->quoted && node->scalar == "true") return true;
    if (!node->quoted && node->scalar == "false") return false;
    fail(key, fmt::format("'{}' must be true or false, not '{}'", key, one_line(node->scalar)));
    return fallback;
}

Duration Section::duration(const std::string& key, Duration fallback) {
    const Node* node = find_scalar(key, false);
    if (node == nullptr) return fallback;
    Result<Duration> value = parse_duration(node->scalar);
    if (value) return *value;
    fail(key, fmt::format("'{}': {}", key, value.error().message));
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
    fail(key, fmt::format("'{}': {}", key, value.error().message));
    return std::nullopt;
}

std::vector<std::string> Section::texts(const std::string& key) {
    std::vector<std::string> values;
    const Node* node = find(key, false);
    if (node == nullptr) return values;
    if (node->kind != Node::Kind::kList) {
        fail(key, fmt::format("'{}' must be a list, not {}", key, kind_words(*node)));
        return values;
    }
    for (const auto& item : node->items) {
        if (item->kind != Node::Kind::kScalar) {
            document_->fail(item->line, fmt::format("'{}' must be a list of plain values", key));
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
        fail(environment_key, fmt::format("both '{}' and '{}' are given", file_key, environment_key));
        return {};
    }
    if (!variable.empty()) {
        std::optional<std::string> value = files.environment_variable(variable);
        if (!value) fail(environment_key, fmt::format("environment variable '{}' is not set", one_line(variable)));
        return Secret(value.value_or(""));
    }
    if (file.empty()) return {};
    Result<std::string> content = files.read(file, kSecretLimitBytes);
    if (!content) {
        fail(file_key, fmt::format("cannot read '{}': {}", file, content.error().to_string()));
        return {};
    }
    while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) content->pop_back();
    if (content->empty()) fail(file_key, fmt::format("'{}' is empty", file));
    return Secret(std::move(*content));
}

Section Section::section(const std::string& key) {
    auto empty = std::make_shared<Node>();
    empty->kind = Node::Kind::kMapping;
    empty->line = node_->line;
    if (const Node* node = find(key, false); node == nullptr) return Section(document_, empty);
    const std::shared_ptr<Node>& value = node_->entry(key)->value;
    if (value->kind == Node::Kind::kMapping) return Section(document_, value);
    fail(key, fmt::format("'{}' must be a mapping, not {}", key, kind_words(*value)));
    return Section(document_, empty);
}

std::vector<Section> Section::list(const std::string& key) {
    std::vector<Section> sections;
    const Node* node = find(key, false);
    if (node == nullptr) return sections;
    if (node->kind != Node::Kind::kList) {
        fail(key, fmt::format("'{}' must be a list of mappings, not {}", key, kind_words(*node)));
        return sections;
    }
    for (const auto& item : node->items) {
        if (item->kind != Node::Kind::kMapping) {
            document_->fail(item->line, fmt::format("'{}' must be a list of mappings", key));
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

void Section::fail(const std::string& key, const std::string& message) {
    const Node::Entry* entry = node_->entry(key);
    document_->fail(entry != nullptr ? entry->line : node_->line, message);
}

Status Section::finish() const {
    report_unknown(*document_, *document_->root, nullptr);
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
