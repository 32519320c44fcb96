// Result<T>: a value or an Error, over tl::expected. Our code throws nothing.
#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "base/error.h"

namespace aeterna {

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
  public:
    using tl::expected<T, Error>::expected;
    // Implicit on purpose: `return make_error(…)` and `return some_other_result.error()`.
    Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}
};

using Status = Result<void>;

}  // namespace aeterna

// Returns the error of `expression` (a Result) from the enclosing function, if it is one.
#define AETERNA_TRY(expression)                                            \
    do {                                                                   \
        if (auto aeterna_try_result = (expression); !aeterna_try_result)   \
            return std::move(aeterna_try_result).error();                  \
    } while (false)

#define AETERNA_CONCAT_INNER(a, b) a##b
#define AETERNA_CONCAT(a, b) AETERNA_CONCAT_INNER(a, b)
// AETERNA_ASSIGN(auto value, expression): unwraps, or returns the error.
#define AETERNA_ASSIGN(declaration, expression)                                             \
    auto AETERNA_CONCAT(aeterna_result_, __LINE__) = (expression);                          \
    if (!AETERNA_CONCAT(aeterna_result_, __LINE__))                                         \
        return std::move(AETERNA_CONCAT(aeterna_result_, __LINE__)).error();                \
    declaration = std::move(*AETERNA_CONCAT(aeterna_result_, __LINE__))
