// postgres.confirm_one_writer
// Does: writes one row (into our own aeterna_dr.heartbeat) through every node that claims to be the
// primary: exactly one may accept it; then one through the client path, which must end there.
// Needs: SQL. Changes: that row. Undo: none. HAProxy's checks come seconds after a promotion, and
// an old primary may linger for some: both get time.
#include <fmt/core.h>

#include "base/strings.h"
#include "postgres/steps/live.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kConfirmOneWriterSpec{
    "postgres.confirm_one_writer", "prove by writes that exactly one node accepts them",
    engine::Risk::kReversible, 90s, false};

namespace {

class ConfirmOneWriter final : public engine::Step {
  public:
    explicit ConfirmOneWriter(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env) {}

    const engine::StepSpec& spec() const override { return kConfirmOneWriterSpec; }

    std::string describe() const override {
        std::string text = "write one row through every node that claims to be the primary";
        if (parts_.settings.client) text += " and through " + parts_.settings.client->to_string();
        return text;
    }

    Result<engine::CheckOutcome> check(engine::StepContext&) override {
        return engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_TRY(confirm_nodes(step));
        return parts_.settings.client ? confirm_client_path(step) : Status();
    }

    Status verify(engine::StepContext& step) override {
        while (true) {
            const World world = live_.look(step.context);
            if (world.writers.size() == 1 && world.primary == fact(step.facts, "new_primary"))
                return {};
            // It has just taken a row: silence is a busy machine's until it lasts.
            if (world.writers.empty() && live_.pause(step.context)) continue;
            return make_error(ErrorCode::kServer,
                              world.writers.empty()
                                  ? "no node answers as the primary any more"
                                  : "these nodes are not in recovery: " + join(world.writers, ", "));
        }
    }

  private:
    static std::vector<std::string> claimants(const World& world) {
        std::vector<std::string> names;
        for (const auto& [name, of] : world.seen.nodes) {
            const bool by_sql = of.sql.value && !of.sql.value->in_recovery;
            if (by_sql || (of.rest.value && of.rest.value->claims_primary())) names.push_back(name);
        }
        return names;
    }

    Status write_through(const env::Endpoint& address, const env::Context& context,
                         std::string* answerer) {
        const env::Context bounded = parts_.env.clock.within(3s, context);
        AETERNA_ASSIGN(auto session,
                       parts_.env.sql.connect(parts_.settings.sql_target(address), bounded));
        if (answerer) {
            AETERNA_ASSIGN(Answerer other, who_answers(*session, bounded));
            *answerer = other.address;
        }
        return beat(*session, "confirm", "", bounded);
    }

    // Until exactly one accepts.
    Status confirm_nodes(engine::StepContext& step) {
        std::string told;
        while (true) {
            const World world = live_.look(step.context);
            std::vector<std::string> accepted, lines;
            for (const std::string& name : claimants(world)) {
                const Status written =
                    write_through(parts_.settings.find(name)->address, step.context, nullptr);
                if (written) accepted.push_back(name);
                lines.push_back("'" + name + "' " +
                                (written ? "accepted" : "refused: " + written.error().to_string()));
            }
            const std::string line =
                lines.empty() ? "no node claims to be the primary" : join(lines, "; ");
            if (line != told) step.progress(line);
            told = line;
            if (accepted.size() == 1) {
                step.facts["new_primary"] = accepted.front();
                return {};
            }
            if (!live_.pause(step.context)) {
                return make_error(
                    ErrorCode::kServer,
                    fmt::format("{} nodes accepted a row instead of exactly one ({})",
                                accepted.size(), line),
                    accepted.size() > 1 ? "Stop one of them now: rows are being lost." : "");
            }
        }
    }

    Status confirm_client_path(engine::StepContext& step) {
        const std::string primary = fact(step.facts, "new_primary");
        const std::string expected = parts_.settings.find(primary)->address.to_string();
        std::string told;
        while (true) {
            const MonoTime begun = parts_.env.clock.now();
            std::string answerer;
            const Status written = write_through(*parts_.settings.client, step.context, &answerer);
            // Behind a proxy of another network the server may call itself differently; a write
            // needs a primary.
            if (written) {
                step.progress("client path: written through to " +
                              (answerer == expected ? "'" + primary + "'" : answerer));
                return {};
            }
            const std::string line = "client path: " + written.error().to_string();
            if (line != told) step.progress(line);
            told = line;
            if (begun + 1s >= step.context.deadline ||
                !parts_.env.clock.sleep_until(begun + 1s, step.context.stop)) {
                return wrap_error(written.error(),
                                  "applications cannot write through the client path");
            }
        }
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_confirm_one_writer(StepParts parts) {
    return std::make_unique<ConfirmOneWriter>(std::move(parts));
}

}  // namespace aeterna::postgres
