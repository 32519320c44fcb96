#include "app/daemon/journal_queue.h"

#include <utility>

namespace aeterna::app {
namespace {

// A journal that fails for long must not eat the memory.
constexpr std::size_t kMostWaiting = 10'000;

}  // namespace

JournalQueue::JournalQueue(engine::Journal& journal, const env::Env& env)
    : journal_(journal), env_(env), signal_(env.threads.make_signal()) {
    thread_ = env_.threads.start("journal", [this](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            signal_->wait_until(env_.clock.now() + std::chrono::seconds(5), stop);
            drain();
        }
    });
}

JournalQueue::~JournalQueue() {
    thread_->request_stop();
    thread_->join();
    drain();
}

void JournalQueue::put(const engine::IncidentSummary& incident) {
    push([incident](engine::Journal& journal) { return journal.put_incident(incident); });
}

void JournalQueue::put(const engine::StoreEvent& event) {
    push([event](engine::Journal& journal) { return journal.append_event(event); });
}

void JournalQueue::put(const engine::RequestRecord& request) {
    push([request](engine::Journal& journal) { return journal.put_request(request); });
}

void JournalQueue::push(Work work) {
    bool is_overflowing = false;
    {
        const std::lock_guard lock(mutex_);
        if (work_.size() >= kMostWaiting) {
            work_.pop_front();
            is_overflowing = true;
        }
        work_.push_back(std::move(work));
    }
    if (is_overflowing) env_.log.error("journal.record_dropped");
    signal_->notify();
}

void JournalQueue::drain() {
    while (true) {
        Work work;
        {
            const std::lock_guard lock(mutex_);
            if (work_.empty()) return;
            work = std::move(work_.front());
            work_.pop_front();
        }
        if (const Status status = work(journal_); !status) {
            env_.log.error("journal.write_failed", {{"error", status.error().to_string()}});
            // In order and not lost: it is tried again with the next record, or in 5 s.
            const std::lock_guard lock(mutex_);
            work_.push_front(std::move(work));
            return;
        }
    }
}

}  // namespace aeterna::app
