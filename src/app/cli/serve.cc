// serve: the daemon in the foreground; systemd or `lab up` keep it.
#include "app/daemon/serve.h"

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/open_repository.h"
#include "app/cli/session.h"

namespace aeterna::app {
namespace {

class PlacedRepository final : public OpenedRepository {
  public:
    static Result<std::unique_ptr<OpenedRepository>> open(const Session& session, const env::Context& context) {
        auto placed = std::make_unique<PlacedRepository>();
        AETERNA_ASSIGN(placed->place_, RepositoryPlace::find(session));
        AETERNA_ASSIGN(placed->opened_, placed->place_->open(session, std::nullopt, context));
        return placed;
    }
    repository::Repository& repository() override { return *opened_; }

  private:
    std::unique_ptr<RepositoryPlace> place_;
    repository::Repository* opened_ = nullptr;
};

Result<int> run_serve(Session& session) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    const auto opener = [&session](const env::Context& context) { return PlacedRepository::open(session, context); };
    AETERNA_TRY(serve(*open, *journal, session.env(), opener, session.context(std::chrono::hours(24 * 365))));
    return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, Session& session) {
    CLI::App* command =
        app.add_subcommand("serve", "Watch the stack, handle incidents by policy, answer /metrics and /status");
    command->callback([&session] {
        session.set_log_level(LogLevel::kInfo);
        session.run([&session] { return run_serve(session); });
    });
}

}  // namespace aeterna::app
