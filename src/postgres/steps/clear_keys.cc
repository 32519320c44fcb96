// postgres.clear_keys
// Does: takes out of etcd what would keep the restored member from leading. Needs: every member held down by this
// execution, so that no key there has an owner that lives. Changes: the keys leader, status and sync, which Patroni
// writes anew. Undo: none needed. Unknown outcome: repeating it is safe.
//
// Patroni 3.0.2, ha.py: a member does not race that is more than maximum_lag_on_failover behind the optime in `status`,
// which is the old primary's last, nor one that `sync` does not name.
#include <fmt/format.h>

#include "engine/runbook/actor_lock.h"
#include "postgres/client/dcs.h"
#include "postgres/steps/assist.h"
#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kClearKeysSpec{"postgres.clear_keys",
                                          "take out of etcd what would keep the restored member from leading",
                                          engine::Risk::kReversible, 120s, false};

namespace {

constexpr Duration kAsk = 5s;

class ClearKeys final : public engine::Step {
  public:
    explicit ClearKeys(StepParts parts) : parts_(std::move(parts)) {}

    const engine::StepSpec& spec() const override { return kClearKeysSpec; }
    std::string describe() const override { return "take leader, status and sync out of etcd; no member is there to write them"; }

    Result<engine::CheckOutcome> check(engine::StepContext&) override { return engine::CheckOutcome::kReady; }

    Status apply(engine::StepContext& step) override {
        AETERNA_TRY(require_all_held_down(parts_, step.context));
        services::Etcd etcd(*parts_.settings.etcd, parts_.env);
        for (const char* name : {"leader", "status", "optime/leader", "sync"}) {
            AETERNA_TRY(clear_key(etcd, parts_.settings.key_prefix + name, step));
        }
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    // Of whoever wrote it last, and only while we are the one that acts.
    Status clear_key(services::Etcd& etcd, const std::string& key, const engine::StepContext& step) {
        const env::Context context = parts_.env.clock.within(kAsk, step.context);
        AETERNA_ASSIGN(const auto present, etcd.get(key, context));
        if (!present) return {};
        std::vector<services::EtcdCondition> conditions{{key, present->value, present->mod_revision, present->lease}};
        if (step.actor_lease) {
            conditions.push_back(
                {engine::actor_key(parts_.settings.stack_name), std::nullopt, std::nullopt, *step.actor_lease});
        }
        AETERNA_ASSIGN(const bool removed, etcd.remove_if(key, conditions, context));
        if (removed) return {};
        AETERNA_ASSIGN(const auto left, etcd.get(key, context));
        if (!left) return {};  // its lease has ended
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("'{}' has changed while all members are held down", key),
                          "Find out who writes it: somebody else has a member of this cluster.");
    }

    StepParts parts_;
};

}  // namespace

std::unique_ptr<engine::Step> make_clear_keys(StepParts parts) { return std::make_unique<ClearKeys>(std::move(parts)); }

}  // namespace aeterna::postgres
