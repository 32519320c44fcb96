#include "env/sim/network.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::sim {
namespace {

// After a path is healed the kernel's next retransmission is due within its back-off.
constexpr Duration kLongestRetransmission = std::chrono::milliseconds(1500);

}  // namespace

void Call::finish(Outcome result) {
    if (outcome != Outcome::kPending) return;
    outcome = result;
    if (!is_abandoned) network->scheduler_.unpark(waiter);
}

void Call::answered() {
    if (was_answered) return;
    was_answered = true;
    const auto self = shared_from_this();
    if (server != nullptr) std::erase(server->calls, self);
    network->carry_answer(self, Outcome::kAnswered);
}

void Call::server_died() {
    if (was_answered) return;
    was_answered = true;
    network->carry_answer(shared_from_this(), Outcome::kReset);
}

Network::Network(Scheduler& scheduler, ProcessTable& processes)
    : scheduler_(scheduler), processes_(processes) {}

Host& Network::add_host(const std::string& name, const std::string& address) {
    auto& host = hosts_[address];
    if (!host) host = std::make_unique<Host>();
    host->name = name;
    host->address = address;
    return *host;
}

Host* Network::host_at(const std::string& address) {
    const auto found = hosts_.find(address);
    return found == hosts_.end() ? nullptr : found->second.get();
}

Host* Network::find_host(const std::string& name) {
    for (const auto& [address, host] : hosts_) {
        if (host->name == name) return host.get();
    }
    return nullptr;
}

void Network::cut(const Host& from, const Host& to) {
    if (&from != &to) ++cuts_[{&from, &to}];
}

void Network::heal(const Host& from, const Host& to) {
    const auto cut = cuts_.find({&from, &to});
    if (cut == cuts_.end() || --cut->second > 0) return;
    cuts_.erase(cut);
    for (std::size_t i = 0; i < held_.size();) {
        if (held_[i].from != &from || held_[i].to != &to) {
            ++i;
            continue;
        }
        // In order: each is due after the former.
        scheduler_.after(kLongestRetransmission * 1 / 3 + Duration(static_cast<Duration::rep>(i)),
                         std::move(held_[i].action));
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

void Network::heal_all() {
    for (const auto& [path, times] : std::map(cuts_)) {
        for (int i = 0; i < times; ++i) heal(*path.first, *path.second);
    }
}

bool Network::is_open(const Host* from, const Host* to) const {
    return cuts_.empty() || from == to || !cuts_.contains({from, to});
}

bool Network::listen(const env::Endpoint& endpoint, Process& process, std::shared_ptr<void> service,
                     const void* protocol) {
    const auto [at, is_new] = listeners_.try_emplace(endpoint);
    if (!is_new) return false;
    at->second = {&process, std::move(service), protocol};
    process.on_death.emplace_back([this, endpoint, &process] { unlisten(endpoint, process); });
    return true;
}

void Network::unlisten(const env::Endpoint& endpoint, const Process& process) {
    const auto found = listeners_.find(endpoint);
    if (found != listeners_.end() && found->second.process == &process) listeners_.erase(found);
}

Network::Listener* Network::listener_at(const env::Endpoint& endpoint) {
    const auto found = listeners_.find(endpoint);
    return found == listeners_.end() ? nullptr : &found->second;
}

Duration Network::latency(const Host& to) {
    return scheduler_.rng().between(shortest_, longest_) + to.slow;
}

void Network::carry(Host& from, Host& to, bool kept, Action action) {
    if (is_open(&from, &to)) {
        scheduler_.after(latency(to), std::move(action));
    } else if (kept) {
        held_.push_back({&from, &to, std::move(action)});
    }
}

Status Network::begin(const std::shared_ptr<Call>& call, Process& client, const env::Endpoint& to,
                      const CallOptions& options) {
    if (!client.is_alive())
        return make_error(ErrorCode::kCancelled, fmt::format("{}: stopped", options.what));
    call->network = this;
    call->client = &client;
    call->begun = scheduler_.now();
    call->is_kept = options.is_kept;
    call->by_kernel = options.by_kernel;
    call->expected = options.expected;
    call->server_host = host_at(to.host);
    call->waiter = scheduler_.next_parking();
    if (call->server_host == nullptr) {
        return make_error(ErrorCode::kUnreachable,
                          fmt::format("{}: no route to host", options.what));
    }
    return {};
}

void Network::depart(const std::shared_ptr<Call>& call, const env::Endpoint& to, Arrive arrive) {
    Host& from = *call->client->host;
    Host& host = *call->server_host;
    // A connection needs both directions; a kept one has it already.
    if (!call->is_kept && !is_open(&host, &from)) {
        held_.push_back({&host, &from, [this, call, to, arrive = std::move(arrive)]() mutable {
                             if (!call->is_abandoned) depart(call, to, std::move(arrive));
                         }});
        return;
    }
    carry(from, host, true, [this, call, to, arrive = std::move(arrive)]() mutable {
        if (call->is_abandoned && !call->is_kept) return;
        this->arrive(call, to, arrive);
    });
}

void Network::arrive(const std::shared_ptr<Call>& call, const env::Endpoint& to, Arrive& arrive) {
    Listener* listener = listener_at(to);
    if (listener == nullptr || (call->expected != nullptr && call->expected != listener->process)) {
        carry_answer(call, call->is_kept ? Call::Outcome::kReset : Call::Outcome::kRefused);
        return;
    }
    if (call->by_kernel) {
        arrive(*listener);
        return;
    }
    call->server = listener->process;
    listener->process->calls.push_back(call);
    listener->process->when_running(
        [this, to, server = listener->process, arrive = std::move(arrive)] {
            Listener* present = listener_at(to);
            if (present != nullptr && present->process == server) arrive(*present);
        });
}

void Network::carry_answer(const std::shared_ptr<Call>& call, Call::Outcome outcome) {
    if (call->is_abandoned) return;
    carry(*call->server_host, *call->client->host, true,
          [call, outcome] { call->finish(outcome); });
}

Status Network::wait(Call& call, const env::Context& context, const CallOptions& options) {
    if (call.outcome == Call::Outcome::kPending) {
        static_cast<void>(scheduler_.park(context.deadline, context.stop, options.waits_for));
    }
    call.is_abandoned = true;
    switch (call.outcome) {
        case Call::Outcome::kAnswered: return {};
        case Call::Outcome::kRefused:
            return make_error(ErrorCode::kConnectionRefused,
                              fmt::format("{}: Connection refused", options.what));
        case Call::Outcome::kReset:
            return make_error(ErrorCode::kConnectionLost,
                              fmt::format("{}: Connection reset by peer", options.what));
        case Call::Outcome::kPending: break;
    }
    if (!call.client->is_alive() || context.stop.stop_requested()) {
        return make_error(ErrorCode::kCancelled, fmt::format("{}: stopped", options.what));
    }
    return make_error(ErrorCode::kTimeout, fmt::format("{}: no answer in time", options.what));
}

}  // namespace aeterna::sim
