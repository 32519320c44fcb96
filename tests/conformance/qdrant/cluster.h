// Three Qdrant nodes as processes of their own: stand-ins (this very program, started again with
// --stand-in) or real servers ($QDRANT_BIN, else `qdrant` in PATH). Each on an address of its own,
// ports and key of this run only, data in a temporary directory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/posix/posix_env.h"
#include "qdrant/settings.h"

namespace aeterna::qdrant::testing {

inline const env::Env& real_env() {
    static env::PosixEnv env(env::LogFormat::kText, LogLevel::kError);
    return env.env();
}

inline env::Context within(Duration duration) {
    return {real_env().clock.now() + duration, {}, "test"};
}

class Cluster {
  public:
    static constexpr int kNodes = 3;

    // The nodes get 127.0.93.`first` and the addresses after it. Nothing when there is no real
    // server.
    [[nodiscard]] static std::unique_ptr<Cluster> start(bool is_real, int first);
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    [[nodiscard]] SettingsPointer settings() const { return settings_; }
    [[nodiscard]] const NodeSettings& node(int index) const {
        return settings_->nodes[static_cast<std::size_t>(index)];
    }
    void kill(int index);
    void pause(int index);
    void resume(int index);
    // Waits until its API answers.
    void launch(int index);
    // Empties the node's disk; it must be down.
    void wipe(int index);

  private:
    Cluster() = default;
    [[nodiscard]] env::SpawnOptions command(int index) const;
    [[nodiscard]] std::string directory_of(int index) const {
        return directory_ + "/" + node(index).name;
    }

    std::string directory_;
    std::string program_;  // the real server's; empty for stand-ins
    int port_ = 0;         // of the API; gRPC has the next, the peers the one after
    SettingsPointer settings_;
    std::vector<std::optional<env::ProcessId>> processes_;
};

}  // namespace aeterna::qdrant::testing
