#include "engine/drill/workload.h"

#include <fmt/format.h>

#include <utility>

namespace aeterna::engine {

Workload::Workload(std::vector<WritePath> paths, Ledger& ledger, WorkloadSettings settings,
                   const env::Env& env)
    : paths_(std::move(paths)), ledger_(ledger), settings_(settings), env_(env) {}

Workload::~Workload() { stop(); }

void Workload::start() {
    const MonoTime start = env_.clock.now();
    for (std::uint32_t i = 0; i < paths_.size(); ++i) {
        // Spread over the interval, so that the paths together see more instants than one path does.
        const MonoTime first = start + settings_.interval * i / static_cast<long>(paths_.size());
        threads_.push_back(env_.threads.start(fmt::format("write {}", paths_[i].name),
                                              [this, i, first](const std::stop_token& stop) {
                                                  run_path(i, first, stop);
                                              }));
    }
}

void Workload::stop() {
    for (const auto& thread : threads_) thread->request_stop();
    for (const auto& thread : threads_) thread->join();
    threads_.clear();
}

std::optional<Error> Workload::ledger_error() const {
    const std::lock_guard lock(mutex_);
    return error_;
}

void Workload::run_path(std::uint32_t path, MonoTime start, const std::stop_token& stop) {
    MonoTime intended = start;
    std::uint64_t sequence = 0;
    while (env_.clock.sleep_until(intended, stop)) {
        const MonoTime sent = env_.clock.now();
        const std::uint64_t id = (static_cast<std::uint64_t>(path) << kLedgerPathShift) | ++sequence;
        Status kept = ledger_.intend(id, path, intended, sent);
        if (kept) {
            // Not tied to `stop`: a write that is under way is allowed to end, so that its outcome is known.
            const env::Context context{sent + settings_.timeout, {}, "workload"};
            const WriteReply reply = paths_[path].writer->write(id, context);
            kept = ledger_.settle(id, env_.clock.now(), reply);
        }
        if (!kept) {
            const std::lock_guard lock(mutex_);
            if (!error_) error_ = kept.error();
            return;
        }
        intended += settings_.interval;
        const MonoTime now = env_.clock.now();
        if (now > intended) {
            const auto late = static_cast<std::uint64_t>((now - intended) / settings_.interval);
            missed_ += late;
            intended += settings_.interval * static_cast<long>(late);
        }
    }
}

}  // namespace aeterna::engine
