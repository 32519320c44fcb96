// Real threads and an auto-reset event. A body that throws ends the program: our code throws nothing.
#include "env/threads.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "env/posix/ports.h"

namespace aeterna::env {
namespace {

class PosixThread final : public Thread {
  public:
    PosixThread(std::string name, std::function<void(std::stop_token)> body)
        : thread_([label = name.substr(0, kNameLimit), body = std::move(body)](std::stop_token stop) {
              ::pthread_setname_np(::pthread_self(), label.c_str());
              body(std::move(stop));
          }) {}

    void request_stop() override { thread_.request_stop(); }
    void join() override {
        if (thread_.joinable()) thread_.join();
    }

  private:
    static constexpr std::size_t kNameLimit = 15;  // pthread_setname_np(3)
    std::jthread thread_;
};

class PosixSignal final : public Signal {
  public:
    void notify() override {
        const std::lock_guard lock(mutex_);
        is_set_ = true;
        changed_.notify_one();
    }

    bool wait_until(MonoTime until, const std::stop_token& stop) override {
        std::unique_lock lock(mutex_);
        const bool notified = changed_.wait_until(lock, stop, until, [this] { return is_set_; });
        if (notified) is_set_ = false;
        return notified;
    }

  private:
    std::mutex mutex_;
    std::condition_variable_any changed_;
    bool is_set_ = false;
};

class PosixThreads final : public Threads {
  public:
    std::unique_ptr<Thread> start(std::string name,
                                  std::function<void(std::stop_token)> body) override {
        return std::make_unique<PosixThread>(std::move(name), std::move(body));
    }
    std::unique_ptr<Signal> make_signal() override { return std::make_unique<PosixSignal>(); }
};

}  // namespace

std::unique_ptr<Threads> make_posix_threads() { return std::make_unique<PosixThreads>(); }

}  // namespace aeterna::env
