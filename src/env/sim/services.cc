#include "env/sim/services.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::sim {

void StreamPipe::attach(Process& server, StreamService& service) {
    attach_mute(server);
    peer_ = service.accept(shared_from_this());
}

void StreamPipe::attach_mute(Process& server) {
    server_ = &server;
    server.on_death.emplace_back([self = shared_from_this()] {
        if (self->server_dead_) return;
        self->server_dead_ = true;
        self->peer_.reset();
        self->network_.carry(*self->server_->host, *self->client_->host, true, [self] {
            self->is_reset_ = true;
            self->network_.scheduler().unpark(self->reader_);
        });
    });
}

void StreamPipe::send_to_client(std::string bytes) {
    if (!is_open() || bytes.empty()) return;
    to_client_.push_back(std::move(bytes));
    network_.carry(*server_->host, *client_->host, true,
                   [self = shared_from_this()] { self->deliver_to_client(); });
}

void StreamPipe::close_to_client() {
    if (!is_open()) return;
    to_client_.emplace_back();
    network_.carry(*server_->host, *client_->host, true,
                   [self = shared_from_this()] { self->deliver_to_client(); });
}

// Whatever arrives first carries what was sent first.
void StreamPipe::deliver_to_client() {
    const std::string bytes = std::move(to_client_.front());
    to_client_.erase(to_client_.begin());
    if (bytes.empty()) has_ended_ = true;
    inbox_ += bytes;
    network_.scheduler().unpark(reader_);
}

void StreamPipe::send_to_server(std::string bytes) {
    if (client_closed_) return;
    to_server_.push_back(std::move(bytes));
    network_.carry(*client_->host, *server_->host, true,
                   [self = shared_from_this()] { self->deliver_to_server(); });
}

void StreamPipe::close_to_server() {
    if (client_closed_) return;
    to_server_.emplace_back();
    client_closed_ = true;
    if (server_ == nullptr) return;
    network_.carry(*client_->host, *server_->host, true,
                   [self = shared_from_this()] { self->deliver_to_server(); });
}

void StreamPipe::deliver_to_server() {
    if (server_dead_) {
        // The kernel of the dead answers with a reset.
        network_.carry(*server_->host, *client_->host, true, [self = shared_from_this()] {
            self->is_reset_ = true;
            self->network_.scheduler().unpark(self->reader_);
        });
        return;
    }
    server_->when_running([self = shared_from_this()] {
        if (self->server_dead_) return;
        const std::string bytes = std::move(self->to_server_.front());
        self->to_server_.erase(self->to_server_.begin());
        if (!bytes.empty()) {
            if (self->peer_) self->peer_->received(bytes);
            return;
        }
        self->server_dead_ = true;  // nothing more goes either way
        if (self->peer_) self->peer_->closed();
        self->peer_.reset();
    });
}

Result<std::size_t> StreamPipe::read(std::span<char> buffer, const env::Context& context,
                                     const std::string& what) {
    while (inbox_.empty()) {
        if (!client_->is_alive() || context.stop.stop_requested()) {
            return make_error(ErrorCode::kCancelled, fmt::format("{}: stopped", what));
        }
        if (is_reset_)
            return make_error(ErrorCode::kConnectionLost,
                              fmt::format("{}: Connection reset by peer", what));
        if (has_ended_) return std::size_t{0};
        if (network_.scheduler().now() >= context.deadline) {
            return make_error(ErrorCode::kTimeout, fmt::format("{}: no answer in time", what));
        }
        reader_ = network_.scheduler().next_parking();
        static_cast<void>(
            network_.scheduler().park(context.deadline, context.stop, "bytes of a stream"));
    }
    const std::size_t count = std::min(buffer.size(), inbox_.size());
    std::copy_n(inbox_.begin(), count, buffer.begin());
    inbox_.erase(0, count);
    return count;
}

}  // namespace aeterna::sim
