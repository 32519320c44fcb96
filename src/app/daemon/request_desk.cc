#include "app/daemon/request_desk.h"

#include <utility>

namespace aeterna::app {
namespace {

constexpr Duration kPollEvery = std::chrono::milliseconds(500);

}  // namespace

RequestDesk::RequestDesk(engine::Journal& journal, const env::Env& env)
    : journal_(journal), env_(env) {
    thread_ = env_.threads.start("requests", [this](const std::stop_token& stop) {
        while (env_.clock.sleep_for(kPollEvery, stop)) poll();
    });
}

std::vector<engine::RequestRecord> RequestDesk::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
}

void RequestDesk::poll() {
    const auto open = journal_.open_requests();
    if (!open) {
        env_.log.error("journal.read_failed", {{"error", open.error().to_string()}});
        return;
    }
    std::set<std::string> present;
    for (const engine::RequestRecord& request : *open) {
        if (request.kind != engine::kAckIncident && request.kind != engine::kCloseIncident) continue;
        present.insert(request.id);
        if (seen_.count(request.id) != 0) continue;
        if (env_.clock.wall_now() - request.at > kRequestLife) {
            const Error late =
                make_error(ErrorCode::kDeadline, "nobody answered the request in time");
            if (const Status kept = journal_.put_request(engine::answered(request, late)); !kept) {
                env_.log.error("journal.write_failed", {{"error", kept.error().to_string()}});
            }
            continue;
        }
        const std::lock_guard lock(mutex_);
        waiting_.push_back(request);
    }
    seen_ = std::move(present);
}

}  // namespace aeterna::app
