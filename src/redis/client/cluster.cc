// Kept connections by server name, and the questions that steps and drills ask.
#include "redis/client/cluster.h"

namespace aeterna::redis {

bool Cluster::is_sentinel(const RedisNode& node) const {
    for (const RedisNode& sentinel : settings_->sentinels)
        if (sentinel.name == node.name) return true;
    return false;
}

Result<Connection*> Cluster::connect(const RedisNode& node, const env::Context& context) {
    auto& kept = connections_[node.name];
    if (kept && kept->is_usable()) return kept.get();
    kept.reset();
    const Target target =
        is_sentinel(node) ? sentinel_target(*settings_, node) : node_target(*settings_, node);
    AETERNA_ASSIGN(kept, Connection::open(target, env_, context));
    return kept.get();
}

Result<std::vector<Reply>> Cluster::converse(const RedisNode& node, const std::vector<Command>& commands,
                                             const env::Context& context) {
    const env::Context narrow = env_.clock.within(kCallTimeout, context);
    const auto kept = connections_.find(node.name);
    const bool was_kept = kept != connections_.end() && kept->second && kept->second->is_usable();
    AETERNA_ASSIGN(Connection * connection, connect(node, narrow));
    auto replies = connection->pipeline(commands, narrow);
    if (replies || !was_kept || replies.error().code != ErrorCode::kConnectionLost) return replies;
    AETERNA_ASSIGN(connection, connect(node, narrow));
    return connection->pipeline(commands, narrow);
}

Result<Reply> Cluster::ask(const RedisNode& node, const Command& command, const env::Context& context) {
    AETERNA_ASSIGN(auto replies, converse(node, {command}, context));
    if (replies.front().is_error()) return error_of_reply(replies.front(), node.name);
    return std::move(replies.front());
}

Result<Reply> Cluster::order(const RedisNode& node, const Command& command, const env::Context& context) {
    // PING needs a right of its own; any reply proves that the connection lives.
    if (const auto alive = converse(node, {{"PING"}}, context); !alive) {
        Error error = alive.error();
        error.effect = Effect::kNone;  // the order itself was not sent
        return error;
    }
    const env::Context narrow = env_.clock.within(kCallTimeout, context);
    AETERNA_ASSIGN(Connection * connection, connect(node, narrow));
    // The proof that an order stands on may end with its deadline, and we may have stood still.
    if (env_.clock.now() >= narrow.deadline)
        return make_error(ErrorCode::kTimeout, node.name + ": the time for the order is over");
    return connection->call(command, narrow);
}

Result<Role> Cluster::role(const RedisNode& node, const env::Context& context) {
    AETERNA_ASSIGN(const Reply reply, ask(node, {"ROLE"}, context));
    return parse_role(reply);
}

Result<NodeInfo> Cluster::info(const RedisNode& node, const env::Context& context) {
    AETERNA_ASSIGN(const Reply reply, ask(node, {"INFO"}, context));
    return parse_node_info(reply.text);
}

std::vector<NodeAnswer> Cluster::roles(const env::Context& context) {
    std::vector<NodeAnswer> answers;
    for (const RedisNode& node : settings_->nodes) {
        NodeAnswer answer;
        answer.node = &node;
        if (auto said = role(node, context))
            answer.role = std::move(*said);
        else
            answer.error = said.error();
        answers.push_back(std::move(answer));
    }
    return answers;
}

Result<SentinelOpinion> Cluster::opinion(const RedisNode& sentinel, const env::Context& context) {
    AETERNA_ASSIGN(const auto replies, converse(sentinel, opinion_commands(settings_->master_name), context));
    return opinion_from_replies(replies, sentinel.name);
}

std::vector<SentinelAnswer> Cluster::opinions(const env::Context& context) {
    std::vector<SentinelAnswer> answers;
    for (const RedisNode& sentinel : settings_->sentinels) {
        SentinelAnswer answer;
        answer.sentinel = sentinel.name;
        if (auto said = opinion(sentinel, context))
            answer.opinion = std::move(*said);
        else
            answer.error = said.error();
        answers.push_back(std::move(answer));
    }
    return answers;
}

std::optional<env::Endpoint> majority_of(const std::vector<SentinelAnswer>& answers) {
    std::vector<env::Endpoint> addresses;
    for (const SentinelAnswer& answer : answers)
        if (answer.opinion) addresses.push_back(answer.opinion->current_address);
    return majority_address(addresses, answers.size());
}

Result<env::Endpoint> Cluster::majority_master(const env::Context& context) {
    const auto answers = opinions(context);
    if (const auto address = majority_of(answers)) return *address;
    std::string reasons;
    for (const SentinelAnswer& answer : answers)
        reasons += "; " + (answer.error ? answer.error->to_string()
                                        : answer.sentinel + " names '" +
                                              settings_->name_of(answer.opinion->current_address) + "'");
    return make_error(ErrorCode::kUnavailable, "no majority of the Sentinels names one master" + reasons,
                      "Check that the Sentinels run and know '" + settings_->master_name + "'.");
}

bool Cluster::is_named_by_majority(const RedisNode& node, const env::Context& context) {
    const auto named = majority_of(opinions(context));
    return named && *named == node.address;
}

Result<const RedisNode*> Cluster::majority_master_node(const env::Context& context) {
    AETERNA_ASSIGN(const env::Endpoint address, majority_master(context));
    if (const RedisNode* node = settings_->node_at(address)) return node;
    return make_error(ErrorCode::kConfiguration,
                      "the Sentinels name '" + address.to_string() + "', which is no node of the stack file",
                      "Add it to redis.nodes, with the address that Sentinel reports.");
}

}  // namespace aeterna::redis
