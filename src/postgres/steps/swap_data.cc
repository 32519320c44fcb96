// postgres.swap_data
// Does: renames the old data directory to DATA.before-EXECUTION and the restored one to its place. Needs: the member
// held down by this execution. Changes: two names in one directory; no byte of the old data. Undo: the names again, as
// long as the member is held down. Unknown outcome: which names are there tells how far it came; repeating it goes on
// from there.
#include <fmt/format.h>

#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kSwapDataSpec{"postgres.swap_data",
                                         "put the restored directory in the place of the old one, which is kept",
                                         engine::Risk::kReversible, 60s, true};

namespace {

class SwapData final : public engine::Step {
  public:
    explicit SwapData(StepParts parts) : parts_(std::move(parts)) {}

    const engine::StepSpec& spec() const override { return kSwapDataSpec; }

    std::string describe() const override {
        return fmt::format("rename the data directory of '{}' aside, and the restored one to its place",
                           parts_.candidate);
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        const auto place = in_place(step.facts);
        return place && is_done(*place) ? engine::CheckOutcome::kAlreadyDone : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        AETERNA_ASSIGN(const engine::LentRepository* lent, lent_to(parts_));
        AETERNA_TRY(require_held_down(step.context));
        if (!exists(place.kept)) AETERNA_TRY(lent->tree.rename(place.data, place.kept));
        if (exists(place.scratch().data())) AETERNA_TRY(lent->tree.rename(place.scratch().data(), place.data));
        AETERNA_TRY(lent->tree.sync_file_system(place.kept));
        step.progress(fmt::format("the old data directory is '{}' now", place.kept));
        return {};
    }

    Status verify(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        if (is_done(place)) return {};
        return make_error(ErrorCode::kIo, fmt::format("'{}' and '{}' are not both there", place.data, place.kept));
    }

    Status undo(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        if (!exists(place.kept)) return {};
        AETERNA_ASSIGN(const engine::LentRepository* lent, lent_to(parts_));
        AETERNA_TRY(require_held_down(step.context));
        if (exists(place.data)) AETERNA_TRY(lent->tree.rename(place.data, place.scratch().data()));
        AETERNA_TRY(lent->tree.rename(place.kept, place.data));
        return lent->tree.sync_file_system(place.data);
    }

  private:
    [[nodiscard]] bool exists(const std::string& path) const { return parts_.env.files.exists(path); }
    [[nodiscard]] bool is_done(const InPlace& place) const {
        return exists(place.kept) && exists(place.data) && !exists(place.scratch().data());
    }

    Status require_held_down(const env::Context& context) const {
        const NodeSettings* node = parts_.settings.find(parts_.candidate);
        if (node == nullptr) return make_error(ErrorCode::kInternal, "the restored member is not known");
        AETERNA_ASSIGN(const bool is_down, is_held_down(parts_, *node, context));
        if (is_down) return {};
        return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' is not held down by this execution", node->name),
                          "A data directory is not moved under a server that may run.");
    }

    StepParts parts_;
};

}  // namespace

std::unique_ptr<engine::Step> make_swap_data(StepParts parts) { return std::make_unique<SwapData>(std::move(parts)); }

}  // namespace aeterna::postgres
