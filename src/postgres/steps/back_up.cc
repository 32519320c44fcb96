// postgres.back_up
// Does: takes a base backup of the restored cluster: restores to points behind it need not go over the fork. Needs: a
// member that answers, the repository. Changes: the repository only. Undo: none. Failing, it is a proposal: the cluster
// works without it.
#include <fmt/format.h>

#include "env/posix/replication.h"
#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kBackUpSpec{"postgres.back_up", "take a base backup of the restored cluster",
                                       engine::Risk::kReversible, 24h, false};

namespace {

class BackUp final : public engine::Step {
  public:
    explicit BackUp(StepParts parts) : parts_(std::move(parts)) {}

    const engine::StepSpec& spec() const override { return kBackUpSpec; }
    std::string describe() const override { return "take a base backup of the restored cluster"; }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        return step.facts.contains("restore.new_backup") ? engine::CheckOutcome::kAlreadyDone
                                                         : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const auto taken = take(step);
        if (!taken) {
            return make_error(ErrorCode::kAwaitingApproval,
                              "the restored cluster works, but its backup failed: " + taken.error().to_string(),
                              "Mend that and resume this execution: it takes one. Until then nothing is begun on the store.");
        }
        step.facts["restore.new_backup"] = taken->backup.id;
        step.progress("backup " + taken->backup.id);
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        step.progress(fmt::format("what the cluster was before lies in '{}': remove it when nobody needs it any more",
                                  place.kept));
        // Only what the recovery has left: its log, and the WAL that it has read.
        return parts_.env.files.remove_tree(place.sandbox);
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    Result<repository::BackupResult> take(const engine::StepContext& step) const {
        AETERNA_ASSIGN(const engine::LentRepository* lent, lent_to(parts_));
        engine::BackupOrder order;
        order.note = step.progress;
        order.progress = [](const repository::Progress&) {};
        AETERNA_ASSIGN(repository::Repository * repository, lent->open(repository::SessionKind::kWrite, step.context));
        const auto replication = env::make_libpq_replication_connector();
        return take_base_backup(parts_.settings, parts_.env, *replication, *repository, order, step.context);
    }

    StepParts parts_;
};

}  // namespace

std::unique_ptr<engine::Step> make_back_up(StepParts parts) { return std::make_unique<BackUp>(std::move(parts)); }

}  // namespace aeterna::postgres
