#include "redis/detect/listener.h"

#include <utility>

namespace aeterna::redis {
namespace {

// Several PINGs stay unanswered before a connection is given up: one may only be late.
constexpr Duration kDeafAfter = 5s;

}  // namespace

Listener::Listener(Target target, Board& board, const env::Env& env)
    : target_(std::move(target)), board_(board), env_(env) {}

void Listener::subscribe(const env::Context& context) {
    auto opened = Connection::open(target_, env_, context);
    if (!opened) return;  // the Sentinel's own probe reports that
    if (!(*opened)->call({"PSUBSCRIBE", "*"}, context)) return;
    connection_ = std::move(*opened);
    heard_at_ = env_.clock.now();
}

void Listener::run(Duration period, const env::Context& context) {
    if (!connection_) return subscribe(context);
    const env::Context until = env_.clock.within(period, context);
    static_cast<void>(connection_->send({"PING"}, until));
    while (connection_->is_usable()) {
        auto reply = connection_->receive(until);
        if (!reply) break;
        heard_at_ = env_.clock.now();
        if (auto event = event_from_message(*reply))
            board_.post_event({target_.name, heard_at_, env_.clock.wall_now(), std::move(*event)});
    }
    const bool is_deaf = env_.clock.now() - heard_at_ >= kDeafAfter;
    if (is_deaf) env_.log.warning("sentinel.subscription_silent", {{"sentinel", target_.name}});
    if (is_deaf || !connection_->is_usable()) connection_.reset();
}

}  // namespace aeterna::redis
