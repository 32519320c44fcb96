// Network: hosts, paths between them, and calls that travel with latency. What a caller sees is
// what TCP shows:
//   nobody listens            the peer's kernel answers: refused
//   the process dies          what it had not answered is reset
//   the process is stopped    its kernel accepts and acknowledges; no answer until it goes on,
//   which it does with all
//                             that has come in meanwhile, also from callers that gave up
//   the path is cut           silence; a new connection is not made while one direction is cut, a
//   kept one's bytes
//                             arrive when the path is healed, also after the caller gave up: a
//                             request that timed out may still be carried out
// Everything here happens in nobody's fiber and does not block; call() alone blocks the calling
// fiber.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/net.h"
#include "env/sim/process.h"

namespace aeterna::sim {

struct Host {
    std::string name;
    std::string address;
    Duration slow{};         // added to all that arrives here
    Duration wall_offset{};  // of its clock
};

// One request under way. `result` is kept by the typed wrapper.
struct Call : std::enable_shared_from_this<Call> {
    enum class Outcome { kPending, kAnswered, kRefused, kReset };
    class Network* network = nullptr;
    Process* client = nullptr;
    Host* server_host = nullptr;
    Process* server = nullptr;  // once it has arrived
    MonoTime begun{};  // when the client sent it
    FiberRef waiter;
    Outcome outcome = Outcome::kPending;
    bool is_abandoned = false;  // the caller has gone away
    bool was_answered = false;
    bool is_kept = false;    // over a connection that stood before
    bool by_kernel = false;  // answered without the process: a connection into the backlog
    const Process* expected = nullptr;  // the kept connection's other end

    // At the server: the answer travels back.
    void answered();
    void server_died();
    void finish(Outcome result);
};

template <class T>
class Promise {
  public:
    struct Shared : Call {
        std::optional<T> value;
    };
    explicit Promise(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    // At most once counts; from anywhere, not from a fiber that must not go on.
    void send(T value) const {
        if (shared_->was_answered) return;
        shared_->value = std::move(value);
        shared_->answered();
    }
    [[nodiscard]] bool is_abandoned() const { return shared_->is_abandoned; }
    [[nodiscard]] Process& client() const { return *shared_->client; }
    [[nodiscard]] MonoTime begun() const { return shared_->begun; }

  private:
    std::shared_ptr<Shared> shared_;
};

// What a call asks for beside its target.
struct CallOptions {
    bool is_kept = false;
    std::string_view what;  // leads messages
    const char* waits_for = "an answer";
    bool by_kernel = false;
    const Process* expected = nullptr;
};

class Network {
  public:
    Network(Scheduler& scheduler, ProcessTable& processes);

    Host& add_host(const std::string& name, const std::string& address);
    [[nodiscard]] Host* host_at(const std::string& address);
    [[nodiscard]] Host* find_host(const std::string& name);

    // One way. As often as it was cut it has to be healed: two faults may cut one path.
    void cut(const Host& from, const Host& to);
    void heal(const Host& from, const Host& to);
    void heal_all();
    [[nodiscard]] bool is_open(const Host* from, const Host* to) const;
    void set_latency(Duration shortest, Duration longest) {
        shortest_ = shortest, longest_ = longest;
    }

    // One listening process per endpoint; it ends with the process. False when the port is taken.
    // `service` is what an adapter finds there again: each protocol has its own type.
    bool listen(const env::Endpoint& endpoint, Process& process, std::shared_ptr<void> service,
                const void* protocol);
    void unlisten(const env::Endpoint& endpoint, const Process& process);
    struct Listener {
        Process* process = nullptr;
        std::shared_ptr<void> service;
        const void* protocol = nullptr;
    };
    [[nodiscard]] Listener* listener_at(const env::Endpoint& endpoint);

    // Lets `serve(Listener&, promise)` run at the listener once the request is there, and blocks
    // the calling fiber until the answer is back. kConnectionRefused, kConnectionLost, kTimeout,
    // kCancelled, kUnreachable.
    template <class T, class Serve>
    Result<T> call(Process& client, const env::Endpoint& to, const env::Context& context,
                   const CallOptions& options, Serve serve) {
        auto shared = std::make_shared<typename Promise<T>::Shared>();
        AETERNA_TRY(begin(shared, client, to, options));
        depart(shared, to, [serve = std::move(serve), shared](Listener& listener) mutable {
            serve(listener, Promise<T>(shared));
        });
        AETERNA_TRY(wait(*shared, context, options));
        return std::move(*shared->value);
    }

    // Lets `action` run at `to` when a message from `from` is there; never when the path stays cut.
    // For what has an order of its own (streams, replication) and for models. `kept`: held while
    // the path is cut, not lost.
    void carry(Host& from, Host& to, bool kept, Action action);
    [[nodiscard]] Duration latency(const Host& to);
    [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
    [[nodiscard]] ProcessTable& processes() { return processes_; }

  private:
    friend struct Call;
    using Arrive = std::function<void(Listener&)>;
    Status begin(const std::shared_ptr<Call>& call, Process& client, const env::Endpoint& to,
                 const CallOptions& options);
    void depart(const std::shared_ptr<Call>& call, const env::Endpoint& to, Arrive arrive);
    void arrive(const std::shared_ptr<Call>& call, const env::Endpoint& to, Arrive& arrive);
    Status wait(Call& call, const env::Context& context, const CallOptions& options);
    // The answer's way back.
    void carry_answer(const std::shared_ptr<Call>& call, Call::Outcome outcome);

    struct Held {
        const Host* from;
        const Host* to;
        Action action;
    };
    Scheduler& scheduler_;
    ProcessTable& processes_;
    Duration shortest_ = std::chrono::microseconds(150);
    Duration longest_ = std::chrono::microseconds(900);
    std::map<std::string, std::unique_ptr<Host>, std::less<>> hosts_;  // by address
    std::map<std::pair<const Host*, const Host*>, int> cuts_;  // how often
    std::vector<Held> held_;
    std::map<env::Endpoint, Listener> listeners_;
};

}  // namespace aeterna::sim
