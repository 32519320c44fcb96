// What people write into a post-mortem lives in a file of its own, so that the generated part can
// be written anew at any time without losing a word. Its "## " headings are the post-mortem's own;
// the text below them is shown in the section of that name, text before the first heading at the
// end of the post-mortem. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace aeterna::report {

inline constexpr std::string_view kRootCause = "Root Cause";
inline constexpr std::string_view kResolution = "Resolution";
inline constexpr std::string_view kLessons = "Lessons Learned";
inline constexpr std::string_view kActions = "Action Items";
inline constexpr std::string_view kNotes = "Notes";  // everything that belongs to no section

// An empty form: what a person finds in the editor the first time.
[[nodiscard]] std::string human_template(const std::string& id);
// By section; sections without text are left out, the template's own comment too.
[[nodiscard]] std::map<std::string, std::string> parse_human_text(std::string_view text);

// A generated text with a seal, by which it is known later whether somebody has changed it.
[[nodiscard]] std::string seal(const std::string& text, const std::string& id);
[[nodiscard]] bool is_sealed(std::string_view text);

}  // namespace aeterna::report
