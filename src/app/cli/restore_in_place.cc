#include "app/cli/restore_in_place.h"

#include <fmt/format.h>

#include "app/cli/act.h"
#include "app/cli/engines.h"
#include "app/cli/look.h"
#include "app/cli/open_repository.h"
#include "app/cli/restore_prediction.h"

namespace aeterna::app {
namespace {

constexpr Duration kLook = std::chrono::seconds(10);

// The one that takes writes; empty when none is known to.
std::string primary_of(const OpenStack& open, const std::string& store, const Session& session) {
    Look look(open, session.env());
    const auto view = look.now(session.context(kLook));
    if (!view) return "";
    for (const engine::StoreStatus& status : view->status.stores) {
        if (status.store == store) return status.primary.value_or("");
    }
    return "";
}

}  // namespace

Result<int> restore_in_place(Session& session, const engine::StoreModule& module, const engine::RestoreOrder& order,
                             const InPlaceOptions& options, bool dry_run, bool yes) {
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto engine, find_engine(session, std::string(module.name())));
    if (engine) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("a restore in place is of our own backups, and the stack's are '{}'s", engine->name()),
                          "Restore into a directory (--into).");
    }
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(engine::Store * store, open->find(std::string(module.name())));
    ActRequest request;
    {
        AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
        AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
        AETERNA_ASSIGN(engine::RestorePlan plan, module.make_restorer(session.env())->plan(*opened, order, context));
        if (!plan.replay) {
            return make_error(
                ErrorCode::kGuardRefused,
                "there is no captured log behind the backup: nothing would tell the restored state from what came "
                "after it",
                "Name a point behind a backup (--to TIME or lsn:X), or restore into a directory (--into).");
        }
        add_prediction(session, store->name(), plan);
        request.parameters["backup"] = plan.backup.id;
        request.parameters["to"] = order.to;
        request.parameters["replay"] = Json{{"from", plan.replay->from},
                                            {"last", plan.replay->last},
                                            {"to", plan.replay->to},
                                            {"timeline", plan.replay->timeline},
                                            {"timeline_before", plan.replay->timeline_before}};
        request.notes = plan.lines;
        request.source = plan.document;
    }
    request.runbook = engine::kRestoreRunbook;
    request.store = store->name();
    request.parameters["node"] = options.node.empty() ? primary_of(*open, store->name(), session) : options.node;
    if (!options.superuser.empty()) request.parameters["superuser"] = options.superuser;
    request.dry_run = dry_run;
    request.yes = yes;
    request.during_maintenance = options.during_maintenance;
    return act(session, request);
}

}  // namespace aeterna::app
