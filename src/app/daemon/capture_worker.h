// Serve's capture of one store: a thread of its own opens the repository and captures, until serve ends. What cannot be
// opened is told and tried again. The judge only reads what it left (facts()), and never waits for it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "app/daemon/captures.h"
#include "engine/capture/exposure_judge.h"

namespace aeterna::app {

// An open repository and what it refers to.
class OpenedRepository {
  public:
    virtual ~OpenedRepository() = default;
    [[nodiscard]] virtual repository::Repository& repository() = 0;
};
using RepositoryOpener = std::function<Result<std::unique_ptr<OpenedRepository>>(const env::Context&)>;

class CaptureWorker {
  public:
    // `opener` is called from the worker's thread. All references must outlive it.
    CaptureWorker(engine::Store& store, const config::Stack& stack, RepositoryOpener opener, const env::Env& env);
    // Ends in order: what had arrived is durable.
    ~CaptureWorker();
    CaptureWorker(const CaptureWorker&) = delete;
    CaptureWorker& operator=(const CaptureWorker&) = delete;

    void request_stop();
    [[nodiscard]] const std::string& store() const { return store_.name(); }
    // Never blocks. `is_blind` and `at` are the caller's.
    [[nodiscard]] engine::CaptureFacts facts();
    // Since the last call.
    [[nodiscard]] std::vector<engine::CaptureEvent> take_events();

  private:
    void work(const std::stop_token& stop);
    // One life of the capture; an error says why it ended.
    Status capture(const env::Context& context);
    [[nodiscard]] engine::CaptureVoice voice();
    void tell(const std::string& line);
    void look(const engine::CaptureView& view);

    engine::Store& store_;
    const config::Stack& stack_;
    const RepositoryOpener opener_;
    const env::Env& env_;
    const MonoTime begun_;
    std::mutex mutex_;
    Captures* captures_ = nullptr;       // while it runs
    std::optional<MonoTime> safe_until_;  // what was acknowledged by then is durable; stays true over restarts
    std::string trouble_;                 // why the last life of the capture ended
    bool is_refused_ = false;             // and that was kGuardRefused
    std::vector<engine::CaptureEvent> events_;
    std::unique_ptr<engine::CaptureGuard> guard_;
    std::unique_ptr<env::Thread> guarding_;
    std::unique_ptr<env::Thread> thread_;  // last: it ends before what it uses
};

}  // namespace aeterna::app
