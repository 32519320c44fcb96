#include "models/resp_service.h"

#include <string>

namespace aeterna::sim::models {
namespace {

// Requests are arrays of texts: the program's own parser reads them, its own tests prove it.
class Peer final : public StreamPeer {
  public:
    Peer(RespServer& server, std::shared_ptr<StreamPipe> pipe)
        : server_(server), session_(std::make_shared<RespSession>(std::move(pipe))) {}

    void received(std::string_view bytes) override {
        parser_.feed(bytes);
        std::string replies;
        while (true) {
            auto request = parser_.next();
            if (!request || !*request) break;
            redis::Command command;
            for (redis::Reply& part : (*request)->elements) command.push_back(std::move(part.text));
            if (!command.empty()) replies += server_.answer(command, session_);
        }
        session_->send(std::move(replies));
    }

  private:
    RespServer& server_;
    std::shared_ptr<RespSession> session_;
    redis::Parser parser_;
};

class Service final : public StreamService {
  public:
    explicit Service(RespServer& server) : server_(server) {}
    std::unique_ptr<StreamPeer> accept(std::shared_ptr<StreamPipe> pipe) override {
        return std::make_unique<Peer>(server_, std::move(pipe));
    }

  private:
    RespServer& server_;
};

// A schedule answers tens of thousands of questions: no formatting.
void add_head(std::string& reply, char kind, std::size_t count) {
    reply += kind;
    reply += std::to_string(count);
    reply += "\r\n";
}

void add_text(std::string& reply, std::string_view text) {
    add_head(reply, '$', text.size());
    reply += text;
    reply += "\r\n";
}

}  // namespace

std::shared_ptr<StreamService> make_resp_service(RespServer& server) { return std::make_shared<Service>(server); }

std::string resp_status(std::string_view text) { return "+" + std::string(text) + "\r\n"; }
std::string resp_error(std::string_view text) { return "-" + std::string(text) + "\r\n"; }
std::string resp_integer(std::int64_t value) { return ":" + std::to_string(value) + "\r\n"; }

std::string resp_text(std::string_view text) {
    std::string reply;
    add_text(reply, text);
    return reply;
}

std::string resp_texts(const std::vector<std::string>& texts) {
    std::string reply;
    reply.reserve(texts.size() * 32);
    add_head(reply, '*', texts.size());
    for (const std::string& text : texts) add_text(reply, text);
    return reply;
}

std::string resp_array(const std::vector<std::string>& replies) {
    std::string all;
    add_head(all, '*', replies.size());
    for (const std::string& reply : replies) all += reply;
    return all;
}

}  // namespace aeterna::sim::models
