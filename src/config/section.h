// Section: one mapping of the stack file, read strictly. Every key that is read is remembered; keys that nobody
// read, duplicate keys and wrong types are errors with file and line. Errors stick: readers return defaults and
// the first error is reported by the root's finish(). YAML stays inside section.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "env/files.h"
#include "env/net.h"

namespace aeterna::config {

class Section {
  public:
    // Parses a document whose root is a mapping. kConfiguration with file and line otherwise.
    [[nodiscard]] static Result<Section> parse(const std::string& text, const std::string& file_name);

    [[nodiscard]] bool has(const std::string& key) const;
    // Required forms report a missing key.
    [[nodiscard]] std::string required_text(const std::string& key);
    [[nodiscard]] std::string text(const std::string& key, const std::string& fallback);
    // One of `allowed`.
    [[nodiscard]] std::string word(const std::string& key, const std::string& fallback,
                                   const std::vector<std::string>& allowed);
    [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t minimum,
                                       std::int64_t maximum);
    [[nodiscard]] bool boolean(const std::string& key, bool fallback);
    [[nodiscard]] Duration duration(const std::string& key, Duration fallback);
    // "16GiB": a whole number and B, KiB, MiB, GiB or TiB.
    [[nodiscard]] std::uint64_t bytes(const std::string& key, std::uint64_t fallback);
    [[nodiscard]] env::Endpoint required_endpoint(const std::string& key);
    [[nodiscard]] std::optional<env::Endpoint> endpoint(const std::string& key);
    [[nodiscard]] std::vector<std::string> texts(const std::string& key);
    // http:// or https:// with a host, a port from 1 to 65535 where one is given; without a final slash.
    [[nodiscard]] std::string required_url(const std::string& key);
    [[nodiscard]] std::vector<std::string> urls(const std::string& key);
    // A node's name: it becomes part of file names and keys, so only [A-Za-z0-9._-], and first a letter or digit.
    [[nodiscard]] std::string required_node(const std::string& key);
    // A file's or folder's path; a relative one starts at the stack file's folder.
    [[nodiscard]] std::string path(const std::string& key, const std::string& fallback);
    // `key_file: PATH` or `key_environment: NAME`; a literal `key: …` is refused (secrets do not belong into the
    // stack file). Empty when none is given. Reads the file now.
    [[nodiscard]] Secret secret(const std::string& key, env::Files& files);
    // A nested mapping; an empty section when missing.
    [[nodiscard]] Section section(const std::string& key);
    // A list of mappings; empty when missing.
    [[nodiscard]] std::vector<Section> list(const std::string& key);
    // A mapping of mappings, in file order.
    [[nodiscard]] std::vector<std::pair<std::string, Section>> children(const std::string& key);

    // Reports a semantic error at `key`'s line. `hint` is one sentence that says what to do.
    void fail(const std::string& key, const std::string& message, const std::string& hint);
    // `value` of this kind ("node name", "address") belongs to `key` here and to nothing else in the document.
    void claim(const std::string& key, const std::string& kind, const std::string& value);
    // The text of `key` must be claimed as a "node name" by the time of finish().
    void refer_to_node(const std::string& key);
    // The first error anywhere in the document, or an unknown key anywhere. Call it on any section, last.
    [[nodiscard]] Status finish() const;
    // As finish(), but what lies beneath this section's `key` is left to a later finish().
    [[nodiscard]] Status finish_except(const std::string& key) const;
    // "stack.yaml:12".
    [[nodiscard]] std::string location() const;

    struct Document;  // section.cc
    struct Node;

  private:
    Section(std::shared_ptr<Document> document, std::shared_ptr<Node> node);
    [[nodiscard]] int line_of(const std::string& key) const;
    [[nodiscard]] Node* find(const std::string& key, bool required);
    [[nodiscard]] Node* find_scalar(const std::string& key, bool required);
    [[nodiscard]] std::string resolved(const std::string& path) const;
    std::shared_ptr<Document> document_;
    std::shared_ptr<Node> node_;
};

// What stands in a file, for a message: cut, and what is not printable is escaped (\x00).
[[nodiscard]] std::string shown(std::string_view text);

}  // namespace aeterna::config
