// Lines of styled text with a known width on the screen, cut to columns. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace aeterna::app {

enum class Style { kPlain, kBold, kDim, kGood, kWarning, kBad };

// Columns that UTF-8 text takes, one per code point (wide characters do not occur in what we print).
[[nodiscard]] std::size_t columns_of(std::string_view text);
// At most `columns`; what is cut ends in '~'. Control characters become '?'.
[[nodiscard]] std::string fit(std::string_view text, std::size_t columns);
// As fit, filled with spaces to exactly `columns`.
[[nodiscard]] std::string pad(std::string_view text, std::size_t columns);
[[nodiscard]] std::string pad_left(std::string_view text, std::size_t columns);

class StyledLine {
  public:
    StyledLine& add(std::string_view text, Style style = Style::kPlain);
    // Spaces up to a column; nothing when it is passed already.
    StyledLine& to_column(std::size_t column);
    [[nodiscard]] std::size_t columns() const { return columns_; }
    // Never wider than `width` (0 = as it is); no trailing spaces; escape codes only with `color`.
    [[nodiscard]] std::string render(std::size_t width, bool color) const;

  private:
    struct Span {
        std::string text;
        Style style;
    };
    std::vector<Span> spans_;
    std::size_t columns_ = 0;
};

}  // namespace aeterna::app
