// AETERNA_CHECK: an always-on assertion for bugs in this program, never for input.
// A failed check prints file, line and expression on stderr and aborts: better dead than wrong.
#pragma once

namespace aeterna {
[[noreturn]] void check_failed(const char* file, int line, const char* expression);
}

#define AETERNA_CHECK(expression)                                         \
    do {                                                                  \
        if (!(expression)) [[unlikely]]                                   \
            ::aeterna::check_failed(__FILE__, __LINE__, #expression);     \
    } while (false)
