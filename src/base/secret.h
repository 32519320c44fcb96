// Secret: a string that does not print itself. Only `reveal()` gives the text, so that every use is visible.
#pragma once

#include <string>
#include <utility>

namespace aeterna {

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] const std::string& reveal() const { return text_; }
    [[nodiscard]] bool empty() const { return text_.empty(); }

  private:
    std::string text_;
};

}  // namespace aeterna
