// Meeting, holding, keeping the tail, demoting.
#include "redis/steps/return_guard.h"

#include "base/strings.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

// A refused connection costs some tens of microseconds; every one of these is a write or so that is
// lost.
constexpr Duration kAskAgain = 5ms;
// So long is a kept connection to a paused process waited on.
constexpr Duration kPatience = 30s;
constexpr Duration kHoldRound = 20ms;
constexpr Duration kHoldRenewal = 5s;  // well below kPause

Command pause_command() {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(kPause).count();
    return {"CLIENT", "PAUSE", std::to_string(milliseconds), "WRITE"};
}

}  // namespace

ReturnGuard::ReturnGuard(SettingsPointer settings, const env::Env& env, RedisNode old_master,
                         std::string directory)
    : settings_(std::move(settings)),
      env_(env),
      old_master_(std::move(old_master)),
      directory_(std::move(directory)),
      cluster_(settings_, env) {}

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

void ReturnGuard::note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    report_.note = line;
}

void ReturnGuard::run(const std::stop_token& stop) {
    while (!stop.stop_requested() && !is_released_) {
        if (meet(stop) == Next::kDone) return;
        if (!env_.clock.sleep_for(kAskAgain, stop)) return;
    }
}

// One try: nobody there, or held to the end.
ReturnGuard::Next ReturnGuard::meet(const std::stop_token& stop) {
    const env::Context patient{env_.clock.now() + kPatience, stop, "guard"};
    const auto connection = Connection::open(node_target(*settings_, old_master_), env_, patient);
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
    while (!stop.stop_requested() && !is_released_) {
        const env::Context brief{env_.clock.now() + 2s, stop, "guard"};
        const bool is_renewal = env_.clock.now() >= renew_at;
        std::vector<Command> commands{{"INFO"}};
        if (is_renewal) commands.insert(commands.begin(), pause_command());
        const auto replies = connection.pipeline(commands, brief);
        if (!replies) return Next::kAgain;
        if (is_renewal) renew_at = env_.clock.now() + kHoldRenewal;
        const auto info = parse_node_info(replies->back().text);
        if (info && !info->is_master) return Next::kAgain;
        const auto known = promotion();
        if (info && known && !info->is_loading &&
            settle(connection, *info, *known, stop) == Next::kDone)
            return Next::kDone;
        if (!env_.clock.sleep_for(kHoldRound, stop)) break;
    }
    // Our own end releases nothing: the pause ends by itself, and Sentinel demotes what has to be
    // demoted before.
    if (is_released_)
        static_cast<void>(
            connection.call({"CLIENT", "UNPAUSE"}, {env_.clock.now() + 2s, {}, "guard"}));
    return Next::kDone;
}

ReturnGuard::Next ReturnGuard::settle(Connection& connection, const NodeInfo& old,
                                      const Promotion& promotion, const std::stop_token& stop) {
    const env::Context context{env_.clock.now() + 10s, stop, "guard"};
    const RedisNode* new_master = settings_->find_node(promotion.new_master);
    if (!new_master) return Next::kAgain;
    if (is_back(context)) {
        note("the Sentinels have made it master again; its writes go on");
        static_cast<void>(connection.call({"CLIENT", "UNPAUSE"}, context));
        return Next::kDone;
    }
    // Keeping the tail may take a while, and nobody renews the pause meanwhile.
    static_cast<void>(connection.call(pause_command(), context));
    keep_tail(old, *new_master, context);
    if (const Status demoted = demote(cluster_, old_master_, *new_master, promotion.facts, context);
        !demoted) {
        note("it is held, but not a replica yet: " + one_line(demoted.error().to_string()));
        return Next::kAgain;
    }
    const std::lock_guard lock(mutex_);
    report_.demoted_at = env_.clock.wall_now();
    report_.note = "it was made a replica of '" + new_master->name + "'";
    return Next::kDone;
}

// A restarted process writes another history: then its tail cannot be asked for.
void ReturnGuard::keep_tail(const NodeInfo& old, const RedisNode& new_master,
                            const env::Context& context) {
    if (is_tail_kept_) return;
    const auto info = cluster_.info(new_master, context);
    if (!info) return;
    is_tail_kept_ = true;
    if (info->replid2 != old.replid || info->second_offset < 0) {
        note("what it wrote alone before its restart can only be read from its files");
        return;
    }
    auto salvaged = salvage_stream(node_target(*settings_, old_master_),
                                   {old.replid, info->second_offset, old.master_offset}, directory_,
                                   env_, context);
    const std::lock_guard lock(mutex_);
    if (salvaged) report_.salvaged = std::move(*salvaged);
    else report_.note = "its tail could not be kept: " + one_line(salvaged.error().to_string());
}

// Named by a majority although a replica had been promoted: a later failover, whose result is not
// ours to undo.
bool ReturnGuard::is_back(const env::Context& context) {
    const auto promoted = promotion();
    const RedisNode* node = promoted ? settings_->find_node(promoted->new_master) : nullptr;
    const auto role = node ? cluster_.role(*node, context)
                           : Result<Role>(make_error(ErrorCode::kInternal, "no node"));
    if (!role || role->is_master()) return false;
    const auto named = cluster_.majority_master(context);
    return named && *named == old_master_.address;
}

}  // namespace aeterna::redis
