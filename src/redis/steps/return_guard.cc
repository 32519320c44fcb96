// Meeting, holding, keeping the tail, demoting.
#include "redis/steps/return_guard.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

// A refused connection costs some tens of microseconds; every one of these is a write or so that is
// lost.
constexpr Duration kAskAgain = 5ms;
// A guard that nobody waits for may stand for days.
constexpr Duration kAskAgainAtLeisure = 20ms;
// Kernels accept for a paused process at once; a host that is away does not answer, and a later try meets it sooner.
constexpr Duration kDial = 1s;
// So long is a kept connection to a paused process waited on.
constexpr Duration kPatience = 30s;
constexpr Duration kHoldRound = 20ms;
constexpr Duration kHoldRenewal = 5s;  // well below kPause
constexpr Duration kLookAround = 500ms;
// So long is held on suspicion: a vantage needs a second, the Sentinels' hellos two.
constexpr Duration kSuspicion = 3s;
// A supervisor has started a promoted one again by then; after that waiting for it costs more than what it took.
constexpr Duration kHeirAway = 15s;
// A Sentinel orders by the connection by which it says hello, and a pause of writes holds its PUBLISH (CMD_MAY_REPLICATE, Redis
// 7.0 processCommand) with all that comes behind it: what it would turn waits for the pause's end. It orders within 8 s (four
// hello periods) behind an INFO (10 s), and again each 16 s.
constexpr Duration kBreath = 20s;
constexpr Duration kBreathes = 20ms;

Command pause_command() {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(kPause).count();
    return {"CLIENT", "PAUSE", std::to_string(milliseconds), "WRITE"};
}

bool is_named_by_any(const std::vector<SentinelAnswer>& answers, const RedisNode& node) {
    return std::any_of(answers.begin(), answers.end(), [&](const SentinelAnswer& answer) {
        return answer.opinion && answer.opinion->current_address == node.address;
    });
}

}  // namespace

ReturnGuard::ReturnGuard(SettingsPointer settings, const env::Env& env, RedisNode old_master,
                         std::string directory)
    : settings_(std::move(settings)),
      env_(env),
      old_master_(std::move(old_master)),
      cluster_(settings_, env),
      directory_(std::move(directory)) {}

ReturnGuard::~ReturnGuard() {
    if (!thread_) return;
    thread_->request_stop();
    thread_->join();
}

void ReturnGuard::start() {
    if (thread_) return;
    thread_ = env_.threads.start("guard " + old_master_.name,
                                 [this](const std::stop_token& stop) { run(stop); });
}

void ReturnGuard::arm(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    is_armed_ = true;
    directory_ = directory;
}

void ReturnGuard::disarm() {
    const std::lock_guard lock(mutex_);
    is_armed_ = false;
    promotion_.reset();
}

void ReturnGuard::demote_for(const std::string& new_master, const Json& facts) {
    const std::lock_guard lock(mutex_);
    promotion_ = Promotion{new_master, facts};
}

void ReturnGuard::release() { is_released_ = true; }

ReturnGuard::Report ReturnGuard::report() const {
    const std::lock_guard lock(mutex_);
    return report_;
}

std::optional<ReturnGuard::Promotion> ReturnGuard::promotion() const {
    const std::lock_guard lock(mutex_);
    return promotion_;
}

bool ReturnGuard::is_armed() const {
    const std::lock_guard lock(mutex_);
    return is_armed_;
}

void ReturnGuard::note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    report_.note = line;
}

void ReturnGuard::run(const std::stop_token& stop) {
    while (!stop.stop_requested() && !is_released_) {
        if (meet(stop) == Next::kDone) break;
        if (!is_armed()) remember_heir(stop);
        tried_at_ = env_.clock.now();
        if (!env_.clock.sleep_for(is_armed() ? kAskAgain : kAskAgainAtLeisure, stop)) return;
    }
    is_over_ = true;
}

// Once: who has taken over, while that one can be asked.
void ReturnGuard::remember_heir(const std::stop_token& stop) {
    if (!heir_replid_.empty() || env_.clock.now() < look_for_heir_at_) return;
    const env::Context brief{env_.clock.now() + kDial, stop, "guard"};
    look_for_heir_at_ = env_.clock.now() + kDial;
    const auto named = cluster_.majority_master_node(brief);
    if (!named || (*named)->name == old_master_.name) return;
    const auto info = cluster_.info(**named, brief);
    if (info && info->is_master) heir_replid_ = info->replid;
}

// One try: nobody there, or held to the end.
ReturnGuard::Next ReturnGuard::meet(const std::stop_token& stop) {
    const MonoTime began = env_.clock.now();
    bool has_stood_still = tried_at_ && began - *tried_at_ > kStoodStill;
    const env::Context patient{began + kPatience, stop, "guard"};
    const auto connection =
        Connection::open(node_target(*settings_, old_master_), env_, patient.until(env_.clock.now() + kDial), patient);
    has_stood_still = has_stood_still || env_.clock.now() - began > kDial + kStoodStill;
    may_have_served_ = has_stood_still || (connection && may_have_served_);
    if (!connection) return Next::kAgain;
    const auto replies = (*connection)->pipeline({pause_command(), {"INFO"}}, patient);
    if (!replies) return Next::kAgain;
    if (replies->front().is_error())
        note("its writes cannot be paused: " + one_line(replies->front().text));
    const auto info = parse_node_info(replies->back().text);
    if (!info) return Next::kAgain;
    if (!info->is_master) {
        static_cast<void>((*connection)->call({"CLIENT", "UNPAUSE"}, patient));
        note("it is back as a replica");
        return Next::kDone;
    }
    {
        const std::lock_guard lock(mutex_);
        if (!report_.held_at) report_.held_at = env_.clock.wall_now();
        report_.note = "it is back as a master; its writes are held";
    }
    return hold(**connection, stop);
}

ReturnGuard::Next ReturnGuard::hold(Connection& connection, const std::stop_token& stop) {
    MonoTime renew_at = env_.clock.now() + kHoldRenewal;
    MonoTime look_at = env_.clock.now();
    MonoTime suspected_until = env_.clock.now() + kSuspicion;
    bool is_held = true, is_replaced = false;
    heir_away_since_.reset();
    MonoTime breath_at = env_.clock.now() + kBreath;
    while (!stop.stop_requested() && !is_released_) {
        const env::Context brief{env_.clock.now() + 2s, stop, "guard"};
        const bool is_renewal = is_held && env_.clock.now() >= renew_at;
        std::vector<Command> commands{{"INFO"}};
        if (is_renewal) commands.insert(commands.begin(), pause_command());
        const auto replies = connection.pipeline(commands, brief);
        if (!replies) return Next::kAgain;
        if (is_renewal) renew_at = env_.clock.now() + kHoldRenewal;
        const auto info = parse_node_info(replies->back().text);
        if (info && !info->is_master) return Next::kAgain;
        auto known = promotion();
        if (!known && !is_armed() && env_.clock.now() >= look_at) {
            Others others = look_around(brief);
            look_at = env_.clock.now() + kLookAround;
            if (others.word == Others::Word::kBack)
                return give_back(connection, "the Sentinels name it as master; its writes go on", brief);
            is_replaced = others.word == Others::Word::kReplaced;
            if (is_replaced) {
                suspected_until = env_.clock.now() + kSuspicion;
                if (!is_held) renew_at = env_.clock.now();
                is_held = true;
                known = std::move(others.promotion);
            } else if (is_held && env_.clock.now() >= suspected_until) {
                static_cast<void>(connection.call({"CLIENT", "UNPAUSE"}, brief));
                note("nobody else is known to be the master; its writes go on");
                is_held = false;
            }
        }
        if (info && known && !info->is_loading &&
            settle(connection, *info, *known, stop) == Next::kDone)
            return Next::kDone;
        const bool is_stuck = info && !info->is_loading && is_held && (known || is_replaced);
        if (is_stuck && !is_heir_dead_ && env_.clock.now() >= breath_at) {
            breathe(connection, *info, stop);
            breath_at = env_.clock.now() + kBreath;
            renew_at = env_.clock.now() + kHoldRenewal;
        }
        if (!env_.clock.sleep_for(kHoldRound, stop)) break;
    }
    // Our own end releases nothing: the pause ends by itself, and Sentinel demotes what has to be
    // demoted before.
    if (is_released_)
        static_cast<void>(
            connection.call({"CLIENT", "UNPAUSE"}, {env_.clock.now() + 2s, {}, "guard"}));
    return Next::kDone;
}

// We cannot turn it (whoever took its place does not answer us, or too few Sentinels do), and hold up those that can: for a
// moment its writes go on, one of each client that waits and what comes meanwhile; what it may have alone is kept before.
void ReturnGuard::breathe(Connection& connection, const NodeInfo& old, const std::stop_token& stop) {
    const env::Context context{env_.clock.now() + 10s, stop, "guard"};
    static_cast<void>(connection.call(pause_command(), context));
    if (const auto range = taken_since_start(old); range && !is_tail_kept_) {
        keep_stream(*range, context);
    } else if (!is_tail_kept_ && old.backlog_first > 0 &&
               keep_stream({old.replid, old.backlog_first, old.master_offset}, context)) {
        // Where it parted from the others nobody tells us.
        const std::lock_guard lock(mutex_);
        report_.salvaged->lost_writes.reset();
        report_.salvaged->summary += " (others may have some of them)";
    }
    note("we cannot make it a replica: each " + format_duration(kBreath) + " its writes go on for a moment, so that the Sentinels can");
    static_cast<void>(connection.call({"CLIENT", "UNPAUSE"}, context));
    static_cast<void>(env_.clock.sleep_for(kBreathes, stop));
    // Also when we are to end: our end releases nothing.
    static_cast<void>(connection.call(pause_command(), {env_.clock.now() + 2s, {}, "guard"}));
}

// Clients that ask the Sentinels go where these say; one Sentinel that nobody contradicts is enough to hold.
ReturnGuard::Others ReturnGuard::look_around(const env::Context& context) {
    Others others;
    const auto answers = cluster_.opinions(context);
    const auto named = majority_of(answers);
    if (named && *named == old_master_.address) {
        others.word = Others::Word::kBack;
        return others;
    }
    std::size_t elsewhere = 0, here = 0;
    for (const SentinelAnswer& answer : answers) {
        if (answer.opinion) ++(answer.opinion->current_address == old_master_.address ? here : elsewhere);
    }
    if (elsewhere > 0 && here == 0) others.word = Others::Word::kReplaced;
    is_heir_dead_ = false;
    for (const RedisNode& node : settings_->nodes) {
        if (node.name == old_master_.name) continue;
        const auto info = cluster_.info(node, context);
        const bool is_dead = !info && info.error().code == ErrorCode::kConnectionRefused;
        is_heir_dead_ = is_heir_dead_ || (is_dead && is_named_by_any(answers, node));
        if (!info || !info->is_master) continue;
        const bool is_heir = !heir_replid_.empty() && (info->replid == heir_replid_ || info->replid2 == heir_replid_);
        const bool is_named = named && *named == node.address;
        if (!is_heir && !is_named) continue;
        others.word = Others::Word::kReplaced;
        if (!others.promotion || is_named) others.promotion = Promotion{node.name, Json{{kOldReplid, info->replid2}}};
    }
    return others;
}

ReturnGuard::Next ReturnGuard::settle(Connection& connection, const NodeInfo& old,
                                      const Promotion& promotion, const std::stop_token& stop) {
    const env::Context context{env_.clock.now() + 10s, stop, "guard"};
    const RedisNode* new_master = settings_->find_node(promotion.new_master);
    if (!new_master) return Next::kAgain;
    if (is_back(promotion, context))
        return give_back(connection, "the Sentinels have made it master again; its writes go on", context);
    // Keeping the tail may take a while, and nobody renews the pause meanwhile.
    static_cast<void>(connection.call(pause_command(), context));
    if (const Status asked = keep_tail(old, *new_master, context); !asked) {
        note("it is held: " + one_line(asked.error().to_string()));
        return Next::kAgain;
    }
    if (const Status demoted = demote(cluster_, old_master_, *new_master, promotion.facts, context);
        !demoted) {
        note("it is held, but not a replica yet: " + one_line(demoted.error().to_string()));
        return Next::kAgain;
    }
    const std::lock_guard lock(mutex_);
    report_.demoted_at = env_.clock.wall_now();
    report_.note = "it was made a replica of '" + new_master->name + "'" + tail_trouble_;
    return Next::kDone;
}

// A restarted process writes another history: then only what it has taken since can be asked for. An error: not now.
Status ReturnGuard::keep_tail(const NodeInfo& old, const RedisNode& new_master, const env::Context& context) {
    if (is_tail_kept_) return {};
    const auto info = cluster_.info(new_master, context);
    if (!info) return info.error();
    is_tail_kept_ = true;
    std::optional<StreamRange> range;
    if (info->replid2 == old.replid && info->second_offset >= 0)
        range = StreamRange{old.replid, info->second_offset, old.master_offset};
    else
        range = taken_since_start(old);
    if (info->replid2 != old.replid) note("what it wrote alone before its restart can only be read from its files");
    if (!range) return {};
    keep_stream(*range, context);
    return {};
}

bool ReturnGuard::keep_stream(const StreamRange& range, const env::Context& context) {
    std::string directory;
    {
        const std::lock_guard lock(mutex_);
        directory = directory_;
    }
    auto salvaged = salvage_stream(node_target(*settings_, old_master_), range, directory, env_, context);
    const std::lock_guard lock(mutex_);
    // It becomes a replica anyway, in which nobody asks for its tail: it is told.
    tail_trouble_ = salvaged ? "" : "; its tail could not be kept: " + one_line(salvaged.error().to_string());
    if (salvaged) report_.salvaged = std::move(*salvaged);
    return salvaged.has_value();
}

// In this order: whoever sees it write knows already that it was given back.
ReturnGuard::Next ReturnGuard::give_back(Connection& connection, const std::string& why, const env::Context& context) {
    {
        const std::lock_guard lock(mutex_);
        report_.is_given_back = true;
        report_.note = why;
    }
    static_cast<void>(connection.call({"CLIENT", "UNPAUSE"}, context));
    return Next::kDone;
}

// Named by a majority although a replica had been promoted: a later failover, whose result is not
// ours to undo. Or that one has died: then nobody takes writes until it is back, if ever.
bool ReturnGuard::is_back(const Promotion& promotion, const env::Context& context) {
    if (std::exchange(may_have_served_, false) && has_served(promotion, context)) return true;
    const RedisNode* node = settings_->find_node(promotion.new_master);
    const auto role = node ? cluster_.role(*node, context)
                           : Result<Role>(make_error(ErrorCode::kInternal, "no node"));
    is_heir_dead_ = !role && role.error().code == ErrorCode::kConnectionRefused;
    if (role) heir_away_since_.reset();
    else if (!heir_away_since_) heir_away_since_ = env_.clock.now();
    if (role ? role->is_master() : env_.clock.now() - *heir_away_since_ < kHeirAway) return false;
    return cluster_.is_named_by_majority(old_master_, context);
}

// Named by a majority, and not emptied.
bool ReturnGuard::has_served(const Promotion& promotion, const env::Context& context) {
    if (!cluster_.is_named_by_majority(old_master_, context)) return false;
    const RedisNode* node = settings_->find_node(promotion.new_master);
    const auto own = cluster_.info(old_master_, context);
    const auto theirs = node ? cluster_.info(*node, context) : Result<NodeInfo>(make_error(ErrorCode::kInternal, "no node"));
    return own && !(theirs && has_next_to_nothing(*own, *theirs));
}

std::shared_ptr<ReturnGuard> ReturnGuards::of(const RedisNode& node, const std::string& directory) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<ReturnGuard>& place = guards_[node.name];
    auto guard = place.lock();
    if (guard && !guard->is_over()) return guard;
    guard = std::make_shared<ReturnGuard>(settings_, env_, node, directory);
    guard->start();
    place = guard;
    return guard;
}

}  // namespace aeterna::redis
