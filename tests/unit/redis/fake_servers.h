// Redis servers and Sentinels in memory behind the dialer: enough of ROLE, INFO, SENTINEL and the orders of a
// switchover to let the steps run as they are. Orders are kept in `orders`; what they bring about is the test's business.
#pragma once

#include <set>

#include "../support/fake_env.h"
#include "fixtures.h"
#include "redis/steps/support.h"

namespace aeterna::redis::testing {

struct FakeNode {
    int follows = 0;  // 0: a master
    std::string link = "connected";
    std::int64_t offset = 1000;
    std::int64_t priority = 100;
    std::string replid = "history-1";
    std::string replid2 = "none";
    bool is_refusing = false;
    bool is_silent = false;
    std::int64_t keys = 7;
    std::int64_t uptime = 5000;
    std::string tail{};  // its stream from its promotion on, or from its start
    bool counts_from_start = false;  // no file has told it a history
    std::string before{};  // the end of what it followed before that, as far as it has it
};

struct FakeSentinel {
    int names = 1;
    std::int64_t epoch = 5;
    bool is_failing_over = false;
    bool is_silent = false;
    bool is_refusing = false;
    std::set<std::string> flags{};  // "disconnected", "s_down", beside "master"
    std::int64_t pong_ms = 300;
};

struct Order {
    Duration at{};  // since the start
    std::string text;  // "redis-1 CLIENT PAUSE 15000 WRITE"
};

// redis-1 is master, all are well.
class FakeServers final : public env::Dialer {
  public:
    FakeServers() { nodes[2].follows = nodes[3].follows = 1; }

    std::map<int, FakeNode> nodes{{1, {}}, {2, {}}, {3, {}}};
    std::map<int, FakeSentinel> sentinels{{1, {}}, {2, {}}, {3, {}}};
    std::vector<Order> orders;
    std::function<void(const std::string&)> on_order;
    std::function<void()> on_question;  // before each answer
    std::string next_error;             // what the present order is answered with
    std::function<std::string(bool is_sentinel, const Command&)> acl;  // answers ACL …
    const bool* dead = nullptr;  // it is us who died, when true: nothing is sent any more
    SettingsPointer settings = make_settings();
    aeterna::testing::FakeEnv fake;
    env::Env env{fake.clock, fake.random, fake.threads, fake.files, fake.processes,
                 *this,      fake.http,   fake.http_listener, fake.sql, fake.log};
    ClusterPointer cluster = std::make_shared<Cluster>(settings, env);

    [[nodiscard]] Duration passed() const { return fake.clock.now() - start_; }
    [[nodiscard]] std::size_t count(const std::string& word) const {
        return static_cast<std::size_t>(std::count_if(orders.begin(), orders.end(), [&](const Order& order) {
            return order.text.find(word) != std::string::npos;
        }));
    }
    // What Sentinel does: n goes on with the history as its own.
    void promote(int n) {
        nodes[n].follows = 0;
        nodes[n].replid2 = nodes[n].replid;
        nodes[n].replid = "history-of-" + std::to_string(n);
    }

    Result<std::unique_ptr<env::Stream>> connect(const env::Endpoint& address, const env::Context&) override;
    bool can_listen(const env::Endpoint&) override { return false; }
    // That a connection that was open is reset.
    [[nodiscard]] bool is_dead() const { return dead && *dead; }
    [[nodiscard]] bool is_gone(const env::Endpoint& address) const {
        const int n = address.host.back() - '0';
        const bool is_refusing = address.port == 6379 ? nodes.at(n).is_refusing : sentinels.at(n).is_refusing;
        return is_dead() || is_refusing;
    }

    static std::string bulk(const std::string& text) {
        return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    }
    static std::string list(const std::vector<std::string>& parts) {
        std::string text = "*" + std::to_string(parts.size()) + "\r\n";
        for (const std::string& part : parts) text += bulk(part);
        return text;
    }
    std::string answer(const env::Endpoint& address, const Command& command) {
        if (on_question) on_question();
        const int n = address.host.back() - '0';
        const bool is_sentinel = address.port == 26379;
        if (command[0] == "ACL" && acl) return acl(is_sentinel, command);
        if (command[0] == "PING") return "+PONG\r\n";
        if (command[0] == "INFO") return bulk(is_sentinel ? "sentinel_tilt:0\r\n" : info(nodes[n]));
        if (command[0] == "ROLE") return role(nodes[n]);
        if (command[0] == "PSYNC") return stream(nodes[n], std::stoll(command[2]));
        if (command[0] == "SCAN") return "*2\r\n" + bulk("0") + list({});
        static const std::set<std::string> kOrders{"FAILOVER", "REMOVE", "MONITOR", "SET"};
        if (is_sentinel && kOrders.count(command[1]) == 0) return opinion(sentinels[n], command[1]);
        if (is_sentinel && command[1] == "REMOVE") sentinels[n].names = 0;
        if (is_sentinel && command[1] == "MONITOR") sentinels[n].names = command[3].back() - '0';
        std::string text = (is_sentinel ? "sentinel-" : "redis-") + std::to_string(n);
        for (const std::string& word : command) text += " " + word;
        orders.push_back({passed(), text});
        if (on_order) on_order(text);
        if (!next_error.empty()) return "-" + std::exchange(next_error, "") + "\r\n";
        return "+OK\r\n";
    }

  private:
    static std::string info(const FakeNode& node) {
        std::string text = node.follows == 0 ? "role:master\r\n"
                                             : "role:slave\r\nmaster_port:6379\r\nmaster_host:" +
                                                   node_address(node.follows).host + "\r\n";
        text += "slave_priority:" + std::to_string(node.priority) + "\r\nmaster_replid:" + node.replid +
                "\r\nmaster_replid2:" + node.replid2 + "\r\n";
        if (node.counts_from_start)
            text += "repl_backlog_first_byte_offset:1\r\nmaster_repl_offset:" + std::to_string(node.tail.size()) + "\r\n";
        else if (!node.tail.empty())
            text += "second_repl_offset:" + std::to_string(node.offset + 1) + "\r\nmaster_repl_offset:" +
                    std::to_string(node.offset + static_cast<std::int64_t>(node.tail.size())) + "\r\n";
        if (node.keys > 0) text += "db0:keys=" + std::to_string(node.keys) + ",expires=0,avg_ttl=0\r\n";
        return text + "master_link_status:" + (node.link == "connected" ? "up" : "down") + "\r\nslave_repl_offset:" +
               std::to_string(node.offset) + "\r\nuptime_in_seconds:" + std::to_string(node.uptime) + "\r\n";
    }
    static std::string stream(const FakeNode& node, std::int64_t first) {
        const std::int64_t early = node.counts_from_start ? 0 : std::max<std::int64_t>(0, node.offset + 1 - first);
        if (node.tail.empty() || early > static_cast<std::int64_t>(node.before.size())) return "-ERR full copy\r\n";
        return "+CONTINUE\r\n" + node.before.substr(node.before.size() - static_cast<std::size_t>(early)) + node.tail;
    }
    static std::string role(const FakeNode& node) {
        const std::string offset = std::to_string(node.offset);
        if (node.follows == 0) return list({"master", offset, ""});
        return list({"slave", node_address(node.follows).host, "6379", node.link, offset});
    }
    std::string opinion(const FakeSentinel& sentinel, const std::string& question) const {
        const std::string host = node_address(sentinel.names).host;
        if (sentinel.names == 0) return "-ERR No such master with that name\r\n";
        if (question == "GET-MASTER-ADDR-BY-NAME") return list({host, "6379"});
        if (question == "CKQUORUM") return "+OK 3 usable Sentinels\r\n";
        std::string flags = sentinel.is_failing_over ? "master,failover_in_progress" : "master";
        for (const std::string& flag : sentinel.flags) flags += "," + flag;
        if (question == "MASTER")
            return list({"name", "m", "ip", host, "port", "6379", "config-epoch", std::to_string(sentinel.epoch), "flags",
                         flags, "last-ok-ping-reply", std::to_string(sentinel.pong_ms), "quorum", "2",
                         "failover-timeout", "60000", "parallel-syncs", "1"});
        std::string replicas = "*2\r\n";
        for (int n = 1; n <= 3; ++n)
            if (n != sentinel.names) replicas += list({"ip", node_address(n).host, "port", "6379", "flags", "slave"});
        return replicas;
    }

    MonoTime start_ = fake.clock.now();
};

class FakeStream final : public env::Stream {
  public:
    FakeStream(FakeServers& servers, env::Endpoint address) : servers_(servers), address_(std::move(address)) {}

    Status write_all(std::string_view bytes, const env::Context&) override {
        parser_.feed(bytes);
        while (true) {
            const auto parsed = parser_.next();
            if (!parsed || !*parsed) return {};
            Command command;
            for (const Reply& word : (*parsed)->elements) command.push_back(word.text);
            if (servers_.is_gone(address_)) return {};
            answers_ += servers_.answer(address_, command);
        }
    }
    Result<std::size_t> read_some(std::span<char> buffer, const env::Context& context) override {
        if (servers_.is_gone(address_)) return make_error(ErrorCode::kConnectionLost, "reset");
        const int n = address_.host.back() - '0';
        const bool is_silent = address_.port == 26379 ? servers_.sentinels[n].is_silent : servers_.nodes[n].is_silent;
        if (is_silent) {
            static_cast<void>(servers_.fake.clock.sleep_until(context.deadline, {}));
            return make_error(ErrorCode::kTimeout, "silence");
        }
        const std::size_t count = std::min(buffer.size(), answers_.size());
        std::copy_n(answers_.begin(), count, buffer.begin());
        answers_.erase(0, count);
        return count;
    }

  private:
    FakeServers& servers_;
    env::Endpoint address_;
    Parser parser_;
    std::string answers_;
};

inline Result<std::unique_ptr<env::Stream>> FakeServers::connect(const env::Endpoint& address, const env::Context&) {
    if (address.port == 6379 && nodes[address.host.back() - '0'].is_refusing)
        return make_error(ErrorCode::kConnectionRefused, "refused");
    if (is_dead() || (address.port == 26379 && sentinels[address.host.back() - '0'].is_refusing))
        return make_error(ErrorCode::kConnectionRefused, "refused");
    return std::unique_ptr<env::Stream>(std::make_unique<FakeStream>(*this, address));
}

}  // namespace aeterna::redis::testing
