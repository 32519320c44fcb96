// Randomness of the kernel: getrandom(2), no state of our own.
#include <sys/random.h>

#include <cerrno>

#include "base/check.h"
#include "env/posix/ports.h"

namespace aeterna::env {
namespace {

class PosixRandom final : public Random {
  public:
    std::uint64_t next() override {
        std::uint64_t number = 0;
        ssize_t got = 0;
        do {
            got = ::getrandom(&number, sizeof number, 0);
        } while (got < 0 && errno == EINTR);
        // Requests up to 256 bytes are never cut short (getrandom(2)).
        AETERNA_CHECK(got == static_cast<ssize_t>(sizeof number));
        return number;
    }
};

}  // namespace

std::unique_ptr<Random> make_posix_random() { return std::make_unique<PosixRandom>(); }

}  // namespace aeterna::env
