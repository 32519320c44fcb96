// RespService: a server that speaks RESP over the virtual network's byte streams: each command that has arrived whole
// is answered by the model behind it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/sim/services.h"
#include "redis/client/resp.h"

namespace aeterna::sim::models {

// One client's connection; stays good as long as somebody holds it.
class RespSession {
  public:
    explicit RespSession(std::shared_ptr<StreamPipe> pipe) : pipe_(std::move(pipe)) {}
    void send(std::string bytes) { pipe_->send_to_client(std::move(bytes)); }
    [[nodiscard]] Process& client() const { return pipe_->client(); }

  private:
    std::shared_ptr<StreamPipe> pipe_;
};

class RespServer {
  public:
    virtual ~RespServer() = default;
    // The encoded reply; empty when it is sent over the session later.
    virtual std::string answer(const redis::Command& command, const std::shared_ptr<RespSession>& session) = 0;
};

// `server` must outlive it.
[[nodiscard]] std::shared_ptr<StreamService> make_resp_service(RespServer& server);

[[nodiscard]] std::string resp_status(std::string_view text);  // +OK
[[nodiscard]] std::string resp_error(std::string_view text);   // -ERR …
[[nodiscard]] std::string resp_text(std::string_view text);
[[nodiscard]] std::string resp_integer(std::int64_t value);
[[nodiscard]] std::string resp_texts(const std::vector<std::string>& texts);
// Of replies that are encoded already.
[[nodiscard]] std::string resp_array(const std::vector<std::string>& replies);

}  // namespace aeterna::sim::models
