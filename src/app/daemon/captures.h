// Captures: the logs of some stores into one open repository, side by side, and the merging of what they append. What
// `backup watch` runs in the foreground and serve's workers (capture_worker.h) beside the judge.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/registry.h"
#include "engine/capture/capture.h"

namespace aeterna::app {

struct CaptureOptions {
    Duration merge_every{};
    bool accepts_new_cluster = false;
    // From several threads.
    std::function<engine::CaptureVoice(const std::string& store)> voice_of;
};

class Captures {
  public:
    // A store whose log is not captured is passed over. All references must outlive it.
    Captures(const std::vector<engine::Store*>& stores, repository::Repository& repository, const env::Env& env,
             CaptureOptions options);
    ~Captures();
    Captures(const Captures&) = delete;
    Captures& operator=(const Captures&) = delete;

    [[nodiscard]] bool is_empty() const { return running_.empty(); }
    // Of some. Until stop is requested (success: what had arrived is durable), or one of them cannot go on: that ends all of them, for
    // half a capture is none that anybody asked for.
    Status run(const env::Context& context);
    // By store. From any thread.
    [[nodiscard]] std::map<std::string, engine::CaptureView> views() const;

  private:
    struct Running;

    repository::Repository& repository_;
    const env::Env& env_;
    const CaptureOptions options_;
    std::unique_ptr<env::ReplicationConnector> replication_;
    std::vector<std::unique_ptr<Running>> running_;
};

}  // namespace aeterna::app
