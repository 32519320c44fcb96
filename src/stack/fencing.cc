#include "stack/fencing.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/strings.h"
#include "hosts/executor.h"

namespace aeterna::stack {
namespace {

using engine::CheckOutcome;
using engine::Risk;
using engine::StepContext;
using engine::StepSpec;

const StepSpec kFenceSpec{"hosts.fence", "marks the nodes as held, kills all their processes, confirms that none is left",
                          Risk::kDisruptive, std::chrono::seconds(30), false};
const StepSpec kUnfenceSpec{"hosts.unfence", "removes the markers, so that the nodes may be started", Risk::kReversible,
                            std::chrono::seconds(10), false};
const StepSpec kStartSpec{"hosts.start_node", "runs the node's start command, and waits until its process is there",
                          Risk::kReversible, std::chrono::seconds(90), false};

// What all three work with.
struct Parts {
    const config::Stack& stack;
    const env::Env& env;
    std::vector<std::string> nodes;
    std::vector<std::string> holders;
    std::string reason;

    // Nodes of one server live on one host.
    [[nodiscard]] Result<std::unique_ptr<hosts::Executor>> executor() const {
        const config::Host* host = stack.host_of(nodes.front());
        if (host == nullptr) {
            return make_error(ErrorCode::kConfiguration, fmt::format("no host has the node '{}'", nodes.front()),
                              "Add it to a host's processes in the stack file.");
        }
        return hosts::make_executor(*host, env);
    }
    // The nodes that have a marker of one of the holders now.
    [[nodiscard]] Result<std::vector<std::string>> marked(const env::Context& context) const {
        AETERNA_ASSIGN(const auto acting, executor());
        AETERNA_ASSIGN(const auto markers, acting->fences(context));
        std::vector<std::string> found;
        for (const std::string& node : nodes) {
            const bool is_held = std::any_of(markers.begin(), markers.end(), [&](const auto& marker) {
                return marker.node == node && std::find(holders.begin(), holders.end(), marker.holder) != holders.end();
            });
            if (is_held) found.push_back(node);
        }
        return found;
    }
    [[nodiscard]] std::string names() const { return join(nodes, " and "); }
};

// Does: hold the nodes down. Needs: an executor and starters that honour markers. Undo: none, a person unfences.
// Unknown: the markers stay, something may live; verify asks the process table.
class FenceStep final : public engine::Step {
  public:
    explicit FenceStep(Parts parts) : parts_(std::move(parts)) {}
    const StepSpec& spec() const override { return kFenceSpec; }
    std::string describe() const override {
        return fmt::format("fence {}: kill every process, keep it from being started until 'unfence {}'", parts_.names(),
                           parts_.nodes.back());
    }
    Result<CheckOutcome> check(StepContext& step) override {
        if (const Status able = can_fence(parts_.stack, parts_.nodes); !able) return refused(able.error());
        AETERNA_ASSIGN(const bool is_held, holds(step.context));
        return is_held ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }
    Status apply(StepContext& step) override {
        AETERNA_ASSIGN(const auto executor, parts_.executor());
        return executor->fence({parts_.nodes, hosts::kOperator, parts_.reason}, step.context);
    }
    Status verify(StepContext& step) override {
        AETERNA_ASSIGN(const bool is_held, holds(step.context));
        if (is_held) return {};
        return make_error(ErrorCode::kPartial, fmt::format("something of {} lives on: that is no fence", parts_.names()),
                          fmt::format("Look at its processes on the host; 'aeterna-dr unfence {}' lifts the markers.",
                                      parts_.nodes.back()),
                          Effect::kPartial);
    }

  private:
    static Error refused(Error error) {
        error.code = ErrorCode::kGuardRefused;
        return error;
    }
    // Marked all, and nothing of any lives.
    [[nodiscard]] Result<bool> holds(const env::Context& context) const {
        AETERNA_ASSIGN(const auto marked, parts_.marked(context));
        if (marked.size() != parts_.nodes.size()) return false;
        AETERNA_ASSIGN(const auto executor, parts_.executor());
        for (const std::string& node : parts_.nodes) {
            AETERNA_ASSIGN(const hosts::Vitals vitals, executor->vitals(node, context));
            if (!vitals.is_gone()) return false;
        }
        return true;
    }
    Parts parts_;
};

// Does: remove the holders' markers. Starts nothing. Undo: none.
class UnfenceStep final : public engine::Step {
  public:
    explicit UnfenceStep(Parts parts) : parts_(std::move(parts)) {}
    const StepSpec& spec() const override { return kUnfenceSpec; }
    std::string describe() const override {
        return fmt::format("unfence {} (held by {})", parts_.names(), join(parts_.holders, ", "));
    }
    Result<CheckOutcome> check(StepContext& step) override {
        AETERNA_ASSIGN(const auto marked, parts_.marked(step.context));
        return marked.empty() ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }
    Status apply(StepContext& step) override {
        AETERNA_ASSIGN(const auto executor, parts_.executor());
        for (const std::string& holder : parts_.holders) {
            AETERNA_TRY(executor->unfence(parts_.nodes, holder, step.context));
        }
        return {};
    }
    Status verify(StepContext& step) override {
        AETERNA_ASSIGN(const auto marked, parts_.marked(step.context));
        if (marked.empty()) return {};
        return make_error(ErrorCode::kPartial, fmt::format("{} is still marked", join(marked, " and ")), "",
                          Effect::kPartial);
    }

  private:
    Parts parts_;
};

// Does: start the first node, which starts the others. Needs: nobody else holds it. Undo: none.
class StartStep final : public engine::Step {
  public:
    explicit StartStep(Parts parts) : parts_(std::move(parts)) {}
    const StepSpec& spec() const override { return kStartSpec; }
    std::string describe() const override { return fmt::format("start {}", parts_.nodes.front()); }
    Result<CheckOutcome> check(StepContext& step) override {
        AETERNA_ASSIGN(const bool is_there, runs(step.context));
        return is_there ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }
    Status apply(StepContext& step) override {
        AETERNA_ASSIGN(const auto executor, parts_.executor());
        return executor->start(parts_.nodes.front(), step.context);
    }
    Status verify(StepContext& step) override {
        AETERNA_ASSIGN(const bool is_there, runs(step.context));
        if (is_there) return {};
        return make_error(ErrorCode::kServer, fmt::format("'{}' was started and does not run", parts_.nodes.front()),
                          "Look at its log.", Effect::kPartial);
    }

  private:
    [[nodiscard]] Result<bool> runs(const env::Context& context) const {
        AETERNA_ASSIGN(const auto executor, parts_.executor());
        const auto found = executor->find(parts_.nodes.front(), context);
        if (!found && found.error().code != ErrorCode::kNotFound) return found.error();
        return found.has_value();
    }
    Parts parts_;
};

Result<std::vector<std::string>> names_in(const Json& parameters, const char* key) {
    std::vector<std::string> names;
    const Json* list = find_member(parameters, key);
    const bool is_list = list != nullptr && list->is_array() && !list->empty();
    for (const Json& item : is_list ? *list : Json::array()) {
        if (item.is_string() && !item.get<std::string>().empty()) names.push_back(item.get<std::string>());
    }
    if (is_list && names.size() == list->size()) return names;
    return make_error(ErrorCode::kUsage, fmt::format("parameter '{}' is no list of names", key));
}

}  // namespace

Status can_fence(const config::Stack& stack, const std::vector<std::string>& nodes) {
    for (const std::string& node : nodes) {
        const config::Host* host = stack.host_of(node);
        if (host == nullptr) {
            return make_error(ErrorCode::kConfiguration, fmt::format("no host has the node '{}'", node),
                              "Add it to a host's processes in the stack file.");
        }
        if (host->executor != "local") {
            return make_error(ErrorCode::kConfiguration,
                              fmt::format("host '{}' has executor '{}': '{}' cannot be fenced", host->name,
                                          host->executor, node),
                              "Set 'executor: local' where aeterna-dr runs on the host itself.");
        }
        if (!host->can_hold(node)) {
            return make_error(ErrorCode::kConfiguration,
                              fmt::format("nothing would keep '{}' from being started again", node),
                              "Make what starts it honour the markers, then add 'fence: marker' (docs/stack-file.md).");
        }
    }
    return {};
}

Result<engine::Runbook> make_fencing_runbook(const std::string& name, const std::string& store, const Json& parameters,
                                             const config::Stack& stack, const env::Env& env) {
    if (name != "fence" && name != "unfence") {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no runbook '{}'", name));
    }
    AETERNA_ASSIGN(auto nodes, names_in(parameters, "nodes"));
    Parts parts{stack, env, std::move(nodes), {hosts::kOperator}, find_string(parameters, "reason").value_or("by hand")};
    engine::Runbook runbook{name, store, "hold a server down until it is unfenced", "fence", {}};
    if (name == "fence") {
        runbook.steps.push_back(std::make_unique<FenceStep>(std::move(parts)));
        return runbook;
    }
    runbook.purpose = "let a fenced server run again";
    AETERNA_ASSIGN(parts.holders, names_in(parameters, "holders"));
    const bool is_started = find_boolean(parameters, "start").value_or(true);
    runbook.steps.push_back(std::make_unique<UnfenceStep>(parts));
    if (is_started) runbook.steps.push_back(std::make_unique<StartStep>(std::move(parts)));
    return runbook;
}

}  // namespace aeterna::stack
