// The only file that knows yaml-cpp. The event interface is used, not yaml-cpp's node tree: it sees every key of a
// mapping (the node tree keeps duplicates silently) and every alias before it is expanded. Refused: duplicate keys,
// aliases and anchors, tags, several documents, keys that are no plain text, empty values. yaml-cpp bounds the nesting
// depth itself (DepthGuard); its exceptions end here, and its words become ours.
#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/anchor.h>
#include <yaml-cpp/depthguard.h>
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
namespace {

using Node = Section::Node;
constexpr std::size_t kKeyLimit = 1000;

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
        if (value.find('\0') != std::string::npos) document_.fail(mark.line + 1, "a value contains a NUL character", "Remove it.");
        auto node = make(Node::Kind::kScalar, mark);
        node->scalar = value;
        node->quoted = tag == "!";
        ends_quoted_ = node->quoted;
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

    // Whether the last plain value so far was a quoted one.
    [[nodiscard]] bool ends_quoted() const { return ends_quoted_; }

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
        if (anchor != YAML::NullAnchor) document_.fail(mark.line + 1, "anchors are not allowed", "Write the value out at each place.");
        const bool plain = tag.empty() || tag == "?" || tag == "!";
        if (plain) return;
        document_.fail(mark.line + 1, fmt::format("tag '{}' is not allowed", one_line(tag, 60)), "Remove the tag.");
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
        if (key.kind != Node::Kind::kScalar) document_.fail(key.line, "a key is not plain text", "Write 'KEY: VALUE' with a plain word as the key.");
        if (parent.node->entries.size() >= kKeyLimit) document_.fail(key.line, "too many keys in one mapping", "Is this the right file?");
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
    bool ends_quoted_ = false;
};

constexpr const char* kSyntaxHint = "Compare it with what `aeterna-dr config init` writes.";

struct Complaint {
    int line = 1;
    std::string what;
    std::string hint;
};

// What is still open at the end of a file: brackets, and a quote, with their lines. Good enough to point at the place;
// it knows comments and both kinds of quotes, but not block texts (|, >), which the stack file has no use for.
class OpenEnds {
  public:
    explicit OpenEnds(const std::string& text) {
        char before = '\n';
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char c = text[i];
            if (quote_ != 0) {
                if (quote_ == '"' && c == '\\') ++i;
                else if (c == quote_) quote_ = 0;
            } else if (is_comment_) {
                is_comment_ = c != '\n';
                if (!is_comment_) last_ = c;
            } else {
                look_at(c, before);
            }
            if (text[std::min(i, text.size() - 1)] == '\n') ++line_;
            before = c;
        }
    }
    [[nodiscard]] bool has_open_quote() const { return quote_ != 0; }
    [[nodiscard]] std::optional<Complaint> complaint() const {
        if (quote_ != 0) {
            return Complaint{quote_line_, "a text that is quoted here never ends",
                             fmt::format("Close it with {} on the same line.", quote_)};
        }
        if (open_.empty()) return std::nullopt;
        const auto [bracket, line] = open_.back();
        return Complaint{line, fmt::format("'{}' is never closed", bracket),
                         fmt::format("Add the missing '{}'.", bracket == '{' ? '}' : ']')};
    }

  private:
    // A quote is one only where a value may begin; a bracket too, outside of brackets.
    void look_at(char c, char before) {
        const bool is_apart = std::string_view(" \t\n[{,").find(before) != std::string_view::npos;
        const bool is_start = is_apart && std::string_view("\n[{,:-").find(last_) != std::string_view::npos;
        if (c == '\n' || (c != ' ' && c != '\t')) last_ = c;
        if (c == '#' && std::string_view(" \t\n").find(before) != std::string_view::npos) {
            is_comment_ = true;
        } else if ((c == '"' || c == '\'') && is_start) {
            quote_ = c;
            quote_line_ = line_;
        } else if ((c == '[' || c == '{') && (is_start || !open_.empty())) {
            open_.emplace_back(c, line_);
        } else if ((c == ']' || c == '}') && !open_.empty()) {
            open_.pop_back();
        }
    }

    std::vector<std::pair<char, int>> open_;
    char quote_ = 0;
    int quote_line_ = 0;
    int line_ = 1;
    char last_ = '\n';  // the last character that is no space, at the line's start its end
    bool is_comment_ = false;
};

// The first line that is indented with a tab; 0: none.
int line_with_tab(const std::string& text) {
    int line = 1;
    for (const std::string_view part : split(text, '\n')) {
        const std::size_t word = part.find_first_not_of(" \t");
        if (word != std::string_view::npos && part.substr(0, word).find('\t') != std::string_view::npos) return line;
        ++line;
    }
    return 0;
}

bool is_nesting(const YAML::Exception& problem) {
    return dynamic_cast<const YAML::DeepRecursion*>(&problem) != nullptr;
}

// The parser's words name its own state; people need the place and the remedy.
Complaint complaint_about(const std::string& text, const YAML::Exception& problem) {
    if (is_nesting(problem)) {
        return {problem.mark.line + 1, "nested too deeply", "A stack file has a few levels; is this the right file?"};
    }
    if (const int line = line_with_tab(text); line != 0) {
        return {line, "a tab stands where only spaces may", "Indent with spaces."};
    }
    if (auto open = OpenEnds(text).complaint()) return *open;
    return {problem.mark.line + 1, fmt::format("not YAML: {}", one_line(problem.msg)), kSyntaxHint};
}

}  // namespace

void parse_into(Section::Document& document, const std::string& text) {
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        TreeBuilder builder(document);
        parser.HandleNextDocument(builder);
        TreeBuilder second(document);
        const std::shared_ptr<Node> root = document.root;
        if (parser.HandleNextDocument(second)) {
            document.fail(document.root ? document.root->line : 1, "more than one YAML document",
                          "Keep one, without a line '---' in its middle.");
        }
        document.root = root;
        // The parser lets the file's end close a quote: all keys below it would be part of one value.
        const OpenEnds ends(text);
        if (!builder.ends_quoted() || !ends.has_open_quote()) return;
        document.error.reset();
        document.fail(ends.complaint()->line, ends.complaint()->what, ends.complaint()->hint);
    } catch (const YAML::Exception& problem) {
        const Complaint complaint = complaint_about(text, problem);
        // What was built of it until then says less.
        if (is_nesting(problem)) document.error.reset();
        document.fail(complaint.line, complaint.what, complaint.hint);
    } catch (const std::exception& problem) {
        document.fail(1, fmt::format("not YAML: {}", one_line(problem.what())), kSyntaxHint);
    }
}

}  // namespace aeterna::config
