// JournalQueue: hands records to the journal on a thread of its own, in order, so that a slow disk or a busy file
// never holds up detection. What can't be written is logged and dropped; the destructor writes what is left.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::app {

class JournalQueue {
  public:
    JournalQueue(engine::Journal& journal, const env::Env& env);
    ~JournalQueue();
    JournalQueue(const JournalQueue&) = delete;
    JournalQueue& operator=(const JournalQueue&) = delete;

    // Returns at once. From any thread.
    void put(const engine::IncidentSummary& incident);
    void put(const engine::StoreEvent& event);
    void put(const engine::RequestRecord& request);

  private:
    using Work = std::function<Status(engine::Journal&)>;
    void push(Work work);
    void drain();

    engine::Journal& journal_;
    const env::Env& env_;
    std::mutex mutex_;
    std::deque<Work> work_;
    std::unique_ptr<env::Signal> signal_;
    std::unique_ptr<env::Thread> thread_;
};

}  // namespace aeterna::app
