// Hands without hosts: fences by making the node of FakeServers refuse, remembers what it was asked
// for.
#pragma once

#include "fake_servers.h"
#include "redis/steps/assist.h"

namespace aeterna::redis::testing {

class FakeExecutor final : public hosts::Executor {
  public:
    explicit FakeExecutor(FakeServers& servers) : servers_(servers) {}

    std::vector<hosts::FenceMarker> markers;
    std::vector<std::string> trace;  // "fence redis-1", "start redis-1"
    std::optional<Error> fence_error;
    std::optional<Error> start_error;
    std::function<void(const std::string&)> on_start;
    std::function<void()> on_fence, on_unfence;

    Result<hosts::NodeProcesses> find(const std::string&, const env::Context&) override {
        return hosts::NodeProcesses{};
    }
    Result<hosts::NodeProcesses> remains(const std::string&, const env::Context&) override {
        return hosts::NodeProcesses{};
    }
    Status kill(const hosts::NodeProcesses&, const env::Context&) override { return {}; }
    Status pause(const hosts::NodeProcesses&, const env::Context&) override { return {}; }
    Status resume(const hosts::NodeProcesses&, const env::Context&) override { return {}; }
    Status start(const std::string& node, const env::Context&) override {
        if (servers_.is_dead()) return gone();
        for (const hosts::FenceMarker& marker : markers)
            if (marker.node == node)
                return make_error(ErrorCode::kGuardRefused, "held by " + marker.holder);
        trace.push_back("start " + node);
        if (start_error) return *start_error;
        if (on_start) on_start(node);
        return {};
    }
    Status fence(const hosts::FenceOrder& order, const env::Context&) override {
        if (servers_.is_dead()) return gone();
        if (order.begin_before && servers_.fake.clock.now() >= *order.begin_before)
            return make_error(ErrorCode::kDeadline, "the leave has ended");
        if (on_fence) on_fence();
        trace.push_back("fence " + order.nodes.front());
        markers.push_back({order.nodes.front(), order.holder, order.reason, {}});
        if (fence_error) return *fence_error;
        servers_.nodes[order.nodes.front().back() - '0'].is_refusing = true;
        return {};
    }
    Status unfence(const std::vector<std::string>& nodes, const std::string& holder,
                   const env::Context&) override {
        if (servers_.is_dead()) return gone();
        if (on_unfence) on_unfence();
        trace.push_back("unfence " + nodes.front());
        std::erase_if(markers, [&](const auto& marker) {
            return marker.node == nodes.front() && marker.holder == holder;
        });
        return {};
    }
    Result<std::vector<hosts::FenceMarker>> fences(const env::Context&) override {
        if (servers_.is_dead()) return gone();
        return markers;
    }

    Result<hosts::Vitals> vitals(const std::string&, const env::Context&) override {
        return hosts::Vitals{};
    }
    Result<std::string> data_directory(const std::string&, const env::Context&) override {
        return unused();
    }
    Result<bool> is_watchdog_armed(const env::Context&) override { return false; }
    Result<std::vector<std::string>> list_files(const std::string&, const env::Context&) override {
        return unused();
    }
    Result<std::string> read_file(const std::string&, std::size_t, const env::Context&) override {
        return unused();
    }
    Result<env::Room> room(const std::string&, const env::Context&) override { return unused(); }

  private:
    static Error unused() { return make_error(ErrorCode::kNotFound, "not asked for"); }
    static Error gone() { return make_error(ErrorCode::kCancelled, "the process is dead"); }
    FakeServers& servers_;
};

class FakeHands final : public Hands {
  public:
    explicit FakeHands(FakeServers& servers) : executor(servers) {}
    FakeExecutor executor;
    bool has_executor = true;

    Result<hosts::Executor*> executor_of(const RedisNode&) override {
        if (has_executor) return static_cast<hosts::Executor*>(&executor);
        return make_error(ErrorCode::kConfiguration, "executor 'none'");
    }
    bool can_fence(const RedisNode&) override { return has_executor; }
    bool has_files_of(const RedisNode& node) const override {
        return has_executor && !node.config_file.empty();
    }
};

}  // namespace aeterna::redis::testing
