// Clock, randomness, log.
#include <fmt/format.h>

#include "env/sim/ports.h"

namespace aeterna::sim {
namespace {

class SimClock final : public env::Clock {
  public:
    explicit SimClock(Place place) : place_(place) {}
    MonoTime now() const override { return place_.world.now(); }
    WallTime wall_now() const override { return place_.world.wall_now(*place_.process.host); }
    bool sleep_until(MonoTime until, const std::stop_token& stop) override {
        if (place_.is_dead()) return false;
        static_cast<void>(place_.world.scheduler.park(until, stop, "a time"));
        return !stop.stop_requested() && !place_.is_dead();
    }

  private:
    Place place_;
};

class SimRandom final : public env::Random {
  public:
    explicit SimRandom(Place place) : rng_(place.world.rng().fork()) {}
    std::uint64_t next() override { return rng_.next(); }

  private:
    Rng rng_;
};

class SimLog final : public Log {
  public:
    explicit SimLog(Place place) : place_(place) {}
    void write(LogLevel, std::string_view event, const LogFields& fields) override {
        if (!place_.world.is_traced() || place_.is_dead()) return;
        std::string line = fmt::format("{} {}", place_.process.command, event);
        for (const auto& [name, value] : fields) line += fmt::format(" {}={}", name, value);
        place_.world.trace(line);
    }

  private:
    Place place_;
};

}  // namespace

std::unique_ptr<env::Clock> make_clock(Place place) { return std::make_unique<SimClock>(place); }
std::unique_ptr<env::Random> make_random(Place place) { return std::make_unique<SimRandom>(place); }
std::unique_ptr<Log> make_log(Place place) { return std::make_unique<SimLog>(place); }

}  // namespace aeterna::sim
