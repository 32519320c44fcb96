// I/O of the watch. A connection that was kept and turns out to be lost is opened anew in the same run: a killed server
// is then seen as "connection refused" at once.
#include "redis/detect/probes.h"

#include "redis/client/connection.h"
#include "redis/detect/listener.h"

namespace aeterna::redis {
namespace {

constexpr Duration kNodePeriod = 500ms;
constexpr Duration kSentinelPeriod = 1s;
constexpr Duration kTimeout = 1s;
constexpr Duration kListenPeriod = 1s;
constexpr Duration kListenTimeout = 2s;

// One vantage's kept connection. Used by one task at a time.
class Vantage {
  public:
    Vantage(Target target, const env::Env& env) : target_(std::move(target)), env_(env) {}

    Result<std::vector<Reply>> ask(const std::vector<Command>& commands, const env::Context& context) {
        const bool was_kept = connection_ && connection_->is_usable();
        auto replies = attempt(commands, context);
        if (!replies && was_kept && replies.error().code == ErrorCode::kConnectionLost)
            replies = attempt(commands, context);
        return replies;
    }

    [[nodiscard]] const std::string& name() const { return target_.name; }

  private:
    Result<std::vector<Reply>> attempt(const std::vector<Command>& commands, const env::Context& context) {
        if (!connection_ || !connection_->is_usable()) {
            connection_.reset();
            AETERNA_ASSIGN(connection_, Connection::open(target_, env_, context));
        }
        return connection_->pipeline(commands, context);
    }

    Target target_;
    const env::Env& env_;
    std::unique_ptr<Connection> connection_;
};

Result<NodeObservation> observe_node(Vantage& vantage, const env::Context& context) {
    AETERNA_ASSIGN(const auto replies, vantage.ask({{"INFO"}, {"ROLE"}}, context));
    for (const Reply& reply : replies)
        if (reply.is_error()) return error_of_reply(reply, vantage.name());
    NodeObservation observation;
    AETERNA_ASSIGN(observation.info, parse_node_info(replies[0].text));
    AETERNA_ASSIGN(observation.role, parse_role(replies[1]));
    return observation;
}

Result<SentinelObservation> observe_sentinel(Vantage& vantage, const std::string& master_name,
                                             const env::Context& context) {
    AETERNA_ASSIGN(const auto replies, vantage.ask(opinion_commands(master_name), context));
    SentinelObservation observation;
    AETERNA_ASSIGN(observation.opinion, opinion_from_replies(replies, vantage.name()));
    return observation;
}

template <class Observation>
Observation timed(MonoTime began, Result<Observation> result, const env::Env& env) {
    Observation observation;
    if (result)
        observation = std::move(*result);
    else
        observation.error = result.error();
    observation.began = began;
    observation.at = env.clock.now();
    return observation;
}

}  // namespace

std::vector<engine::ProbeTask> make_probes(SettingsPointer settings, Board& board, const env::Env& env) {
    std::vector<engine::ProbeTask> tasks;
    for (const RedisNode& node : settings->nodes) {
        auto vantage = std::make_shared<Vantage>(node_target(*settings, node), env);
        tasks.push_back({node.name + " RESP", kNodePeriod, kTimeout,
                         [vantage, &board, &env](const env::Context& context) {
                             const MonoTime began = env.clock.now();
                             board.post_node(vantage->name(), timed(began, observe_node(*vantage, context), env));
                         }});
    }
    for (const RedisNode& sentinel : settings->sentinels) {
        const Target target = sentinel_target(*settings, sentinel);
        auto vantage = std::make_shared<Vantage>(target, env);
        tasks.push_back({sentinel.name + " RESP", kSentinelPeriod, kTimeout,
                         [vantage, &board, &env, settings](const env::Context& context) {
                             const MonoTime began = env.clock.now();
                             board.post_sentinel(
                                 vantage->name(),
                                 timed(began, observe_sentinel(*vantage, settings->master_name, context), env));
                         }});
        auto listener = std::make_shared<Listener>(target, board, env);
        tasks.push_back({sentinel.name + " events", kListenPeriod, kListenTimeout,
                         [listener](const env::Context& context) { listener->run(kListenPeriod, context); }});
    }
    return tasks;
}

}  // namespace aeterna::redis
