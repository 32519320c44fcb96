#include "redis/detect/division.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

bool knows_no_master(const SentinelAnswer& answer) { return answer.error && answer.error->code == ErrorCode::kNotFound; }

std::string obstacle_of_sentinels(const RedisSettings& settings, const std::vector<SentinelAnswer>& sentinels) {
    std::size_t answering = 0;
    bool is_any_watching = false;
    for (const SentinelAnswer& answer : sentinels) {
        answering += answer.opinion || knows_no_master(answer) ? 1 : 0;
        if (!answer.opinion) continue;
        is_any_watching = true;
        if (answer.opinion->master.has_flag("failover_in_progress")) return answer.sentinel + " is failing over";
        if (answer.opinion->master.has_flag("o_down")) return answer.sentinel + " holds the master for dead";
    }
    if (answering < settings.majority()) return "too few Sentinels answer";
    // The stack file's name may be a wrong one: nothing is made up where nobody knows it.
    return is_any_watching ? "" : "no Sentinel watches '" + settings.master_name + "'";
}

// The one with most keys; nullptr when two have as many, and as long a stream.
const NodeLook* richest(const std::vector<const NodeLook*>& masters) {
    const auto wealth = [](const NodeLook* one) { return std::pair(one->info->keys, one->info->master_offset); };
    const auto best = std::max_element(masters.begin(), masters.end(),
                                       [&](const NodeLook* left, const NodeLook* right) { return wealth(left) < wealth(right); });
    const auto as_rich = std::count_if(masters.begin(), masters.end(), [&](const NodeLook* one) { return wealth(one) == wealth(*best); });
    return as_rich == 1 ? *best : nullptr;
}

// The look of the one that should be master; nullptr with the obstacle.
const NodeLook* choose(const RedisSettings& settings, const std::vector<NodeLook>& nodes, const std::vector<const NodeLook*>& masters,
                       const std::optional<env::Endpoint>& named, Division& division) {
    std::string& obstacle = division.obstacle;
    const RedisNode* by_majority = named ? settings.node_at(*named) : nullptr;
    if (named && by_majority == nullptr) {
        obstacle = "the Sentinels name '" + named->to_string() + "', which is no node of the stack file";
        return nullptr;
    }
    if (by_majority != nullptr) {
        const auto look = std::find_if(nodes.begin(), nodes.end(), [&](const NodeLook& one) { return one.node == by_majority; });
        if (look == nodes.end() || !look->info) {
            obstacle = "the Sentinels name '" + by_majority->name + "', which does not answer";
            division.is_master_away = true;
            return nullptr;
        }
        const bool is_emptied = std::any_of(masters.begin(), masters.end(), [&](const NodeLook* other) {
            return other->node != by_majority && has_next_to_nothing(*look->info, *other->info);
        });
        if (look->info->is_master && !is_emptied) return &*look;
    }
    if (masters.empty()) {
        obstacle = "no node says that it is master";
        return nullptr;
    }
    const NodeLook* best = richest(masters);
    if (best == nullptr) obstacle = "of the nodes that say they are master none has more than the others";
    return best;
}

// One that a Sentinel names may serve where we do not reach it.
std::string away_and_named(const RedisSettings& settings, const std::vector<SentinelAnswer>& sentinels, const std::vector<NodeLook>& nodes) {
    for (const SentinelAnswer& answer : sentinels) {
        if (!answer.opinion) continue;
        const bool answers = std::any_of(nodes.begin(), nodes.end(), [&](const NodeLook& one) {
            return one.info && one.node->address == answer.opinion->current_address;
        });
        if (!answers) return fmt::format("{} names {}, which does not answer", answer.sentinel, settings.name_of(answer.opinion->current_address));
    }
    return "";
}

// Turned to the choice, it would give up what only it has, and replicas are not salvaged.
std::string richer_replica(const NodeLook& choice, const std::vector<NodeLook>& nodes) {
    for (const NodeLook& one : nodes) {
        const bool is_to_turn = one.info && !one.info->is_master && one.info->follows != choice.node->address;
        if (is_to_turn && has_next_to_nothing(*choice.info, *one.info))
            return fmt::format("'{}' has {} keys and would be turned to '{}', which has {}", one.node->name, one.info->keys, choice.node->name,
                               choice.info->keys);
    }
    return "";
}

}  // namespace

Division judge_division(const RedisSettings& settings, const std::vector<SentinelAnswer>& sentinels, const std::vector<NodeLook>& nodes) {
    Division division;
    division.obstacle = obstacle_of_sentinels(settings, sentinels);
    std::vector<const NodeLook*> masters;
    for (const NodeLook& one : nodes) {
        if (!one.info) continue;
        if (one.info->is_loading && division.obstacle.empty()) division.obstacle = "'" + one.node->name + "' loads its data";
        if (one.info->is_master) masters.push_back(&one);
    }
    const auto named = majority_of(sentinels);
    const NodeLook* master = division.obstacle.empty() ? choose(settings, nodes, masters, named, division) : nullptr;
    if (master == nullptr) return division;
    const bool is_named = named && *named == master->node->address;
    division.obstacle = is_named ? "" : away_and_named(settings, sentinels, nodes);
    if (division.obstacle.empty()) division.obstacle = richer_replica(*master, nodes);
    if (!division.obstacle.empty()) return division;
    division.master = master->node;
    division.is_named = is_named;
    for (const SentinelAnswer& answer : sentinels) {
        const bool is_told = answer.opinion && answer.opinion->current_address == master->node->address;
        const auto sentinel = std::find_if(settings.sentinels.begin(), settings.sentinels.end(),
                                           [&](const RedisNode& one) { return one.name == answer.sentinel; });
        if (is_told || sentinel == settings.sentinels.end() || (!answer.opinion && !knows_no_master(answer))) continue;
        division.untold.push_back(&*sentinel);
        division.lines.push_back(answer.opinion ? answer.sentinel + " names " + settings.name_of(answer.opinion->current_address)
                                                : answer.sentinel + " watches no such master");
    }
    for (const NodeLook& one : nodes) {
        if (!one.info || one.node == master->node) continue;
        if (one.info->is_master) {
            division.others.push_back(one.node);
            division.lines.push_back(one.node->name + " says that it is master");
        } else if (one.info->follows != master->node->address) {
            division.astray.push_back(one.node);
            division.lines.push_back(one.node->name + " follows " + (one.info->follows ? settings.name_of(*one.info->follows) : "nobody"));
        }
    }
    // Those of another epoch will be told by the others; a promotion must not outrun one that is away and has an older word.
    const auto silent = std::find_if(sentinels.begin(), sentinels.end(),
                                     [](const SentinelAnswer& answer) { return !answer.opinion && !knows_no_master(answer); });
    if (!division.is_named && silent != sentinels.end()) {
        division.obstacle = silent->sentinel + " does not answer, and all have to be told";
        division.master = nullptr;
    }
    return division;
}

Division look_at_division(Cluster& cluster, const env::Context& context) {
    std::vector<NodeLook> nodes;
    for (const RedisNode& node : cluster.settings().nodes) {
        auto info = cluster.info(node, context);
        nodes.push_back({&node, info ? std::optional(std::move(*info)) : std::nullopt});
    }
    return judge_division(cluster.settings(), cluster.opinions(context), nodes);
}

}  // namespace aeterna::redis
