#include "app/cli/styled_text.h"

namespace aeterna::app {
namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

std::string_view code_of(Style style) {
    switch (style) {
        case Style::kPlain: return "";
        case Style::kBold: return "\x1b[1m";
        case Style::kDim: return "\x1b[2m";
        case Style::kGood: return "\x1b[32m";
        case Style::kWarning: return "\x1b[33m";
        case Style::kBad: return "\x1b[1;31m";
    }
    return "";
}

std::string printable(std::string_view text) {
    std::string clean(text);
    for (char& c : clean) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return clean;
}

// The bytes of the first `columns` code points.
std::string_view prefix(std::string_view text, std::size_t columns) {
    std::size_t bytes = 0;
    while (bytes < text.size()) {
        if (!is_continuation(text[bytes]) && columns-- == 0) break;
        ++bytes;
    }
    return text.substr(0, bytes);
}

}  // namespace

std::size_t columns_of(std::string_view text) {
    std::size_t columns = 0;
    for (const char c : text) columns += is_continuation(c) ? 0 : 1;
    return columns;
}

std::string fit(std::string_view text, std::size_t columns) {
    const std::string clean = printable(text);
    if (columns_of(clean) <= columns) return clean;
    if (columns == 0) return "";
    return std::string(prefix(clean, columns - 1)) + "~";
}

std::string pad(std::string_view text, std::size_t columns) {
    std::string cell = fit(text, columns);
    cell.append(columns - columns_of(cell), ' ');
    return cell;
}

std::string pad_left(std::string_view text, std::size_t columns) {
    const std::string cell = fit(text, columns);
    return std::string(columns - columns_of(cell), ' ') + cell;
}

StyledLine& StyledLine::add(std::string_view text, Style style) {
    spans_.push_back({printable(text), style});
    columns_ += columns_of(text);
    return *this;
}

StyledLine& StyledLine::to_column(std::size_t column) {
    if (column > columns_) add(std::string(column - columns_, ' '));
    return *this;
}

std::string StyledLine::render(std::size_t width, bool color) const {
    std::string out;
    std::string pending;  // spaces that are only printed when something follows
    std::size_t left = width;
    for (const Span& span : spans_) {
        if (width != 0 && left == 0) break;
        std::string text = width == 0 ? span.text : fit(span.text, left);
        left -= width == 0 ? 0 : columns_of(text);
        const std::size_t end = text.find_last_not_of(' ');
        if (end == std::string::npos) {
            pending += text;
            continue;
        }
        const std::string tail = text.substr(end + 1);
        text.resize(end + 1);
        const std::string_view code = color ? code_of(span.style) : "";
        out += pending;
        out += code;
        out += text;
        if (!code.empty()) out += "\x1b[0m";
        pending = tail;
    }
    return out;
}

}  // namespace aeterna::app
