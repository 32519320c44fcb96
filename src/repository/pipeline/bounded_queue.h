// BoundedQueue: hands work from thread to thread and makes the faster side wait. Over the port's signals, which wake one
// waiter each: whoever takes something and sees that more is possible passes the waking on.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "env/context.h"
#include "env/threads.h"

namespace aeterna::repository {

template <class T>
class BoundedQueue {
  public:
    BoundedQueue(env::Threads& threads, std::size_t capacity)
        : capacity_(capacity), filled_(threads.make_signal()), emptied_(threads.make_signal()) {}

    // False when closed, at the deadline or on stop: the item is dropped then.
    bool push(T item, const env::Context& context) {
        while (true) {
            {
                const std::lock_guard lock(mutex_);
                if (is_closed_) return pass_on(emptied_, false);
                if (items_.size() < capacity_) {
                    items_.push_back(std::move(item));
                    filled_->notify();
                    if (items_.size() < capacity_) emptied_->notify();
                    return true;
                }
            }
            if (!emptied_->wait_until(context.deadline, context.stop)) return false;
        }
    }

    // Whether a push would not wait just now; others may push meanwhile.
    [[nodiscard]] bool has_room() {
        const std::lock_guard lock(mutex_);
        return items_.size() < capacity_;
    }

    // Nothing when closed and empty, at the deadline or on stop.
    std::optional<T> pop(const env::Context& context) {
        while (true) {
            {
                const std::lock_guard lock(mutex_);
                if (!items_.empty()) {
                    std::optional<T> item(std::move(items_.front()));
                    items_.pop_front();
                    emptied_->notify();
                    if (!items_.empty() || is_closed_) filled_->notify();
                    return item;
                }
                if (is_closed_) {
                    pass_on(filled_, true);
                    return std::nullopt;
                }
            }
            if (!filled_->wait_until(context.deadline, context.stop)) return std::nullopt;
        }
    }

    // Nothing can be pushed any more; what is there can be popped.
    void close() {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
        filled_->notify();
        emptied_->notify();
    }

  private:
    static bool pass_on(const std::unique_ptr<env::Signal>& signal, bool result) {
        signal->notify();
        return result;
    }

    const std::size_t capacity_;
    std::mutex mutex_;
    std::deque<T> items_;
    bool is_closed_ = false;
    std::unique_ptr<env::Signal> filled_, emptied_;
};

}  // namespace aeterna::repository
