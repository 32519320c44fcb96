#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace aeterna {

void check_failed(const char* file, int line, const char* expression) {
    std::fprintf(stderr, "aeterna-dr: bug: check failed at %s:%d: %s\n", file, line, expression);
    std::abort();
}

}  // namespace aeterna
