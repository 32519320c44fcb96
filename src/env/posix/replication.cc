// A walsender's session over libpq. libpq's calls for COPY are used in their asynchronous form: what is not there yet
// is waited for by poll(2) with the context's deadline, so that a deadline costs the session nothing.
#include "env/posix/replication.h"

#include <fmt/format.h>

#include <deque>

#include "base/strings.h"
#include "env/posix/libpq.h"
#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

constexpr std::size_t kWarningsKept = 64;

struct CopyCloser {
    void operator()(char* buffer) const { PQfreemem(buffer); }
};

class LibpqReplication final : public ReplicationConnection {
  public:
    LibpqReplication(LibpqSession session, std::string what) : session_(std::move(session)), what_(std::move(what)) {
        PQsetNoticeReceiver(session_.get(), keep_warning, this);
    }

    Status start(const std::string& command, const Context& context) override {
        AETERNA_TRY(check_session());
        if (state_ != State::kIdle) return usage("a command is running");
        AETERNA_TRY(check_context(context, what_));
        if (PQsendQuery(session_.get(), command.c_str()) != 1) return dead(libpq_session_error(session_.get(), what_));
        if (auto sent = flush_libpq(session_.get(), what_, context); !sent) return dead(std::move(sent).error());
        state_ = State::kResults;
        return {};
    }

    Result<ReplicationPart> next(const Context& context) override {
        AETERNA_TRY(check_session());
        if (state_ == State::kIdle) return usage("no command is running");
        AETERNA_TRY(check_context(context, what_));
        auto part = state_ == State::kResults ? next_result(context) : next_data(context);
        if (!part && PQstatus(session_.get()) != CONNECTION_OK) return dead(std::move(part).error());
        return part;
    }

    Status send(std::string_view message, const Context& context) override {
        AETERNA_TRY(check_session());
        if (state_ != State::kCopyBoth) return usage("no copy in both directions is running");
        AETERNA_TRY(flush_copy(context));
        if (PQputCopyData(session_.get(), message.data(), static_cast<int>(message.size())) != 1) {
            return dead(libpq_session_error(session_.get(), what_));
        }
        return flush_copy(context);
    }

    Status end_copy(const Context& context) override {
        AETERNA_TRY(check_session());
        if (state_ == State::kCopyBoth) {
            if (PQputCopyEnd(session_.get(), nullptr) < 0) return dead(libpq_session_error(session_.get(), what_));
            state_ = State::kCopyClosing;
        } else if (state_ != State::kCopyClosing) {
            return usage("no copy in both directions is running");
        }
        return flush_copy(context);
    }

    std::vector<std::string> take_warnings() override {
        std::vector<std::string> taken(warnings_.begin(), warnings_.end());
        warnings_.clear();
        return taken;
    }

    bool is_usable() const override { return session_ != nullptr && PQstatus(session_.get()) == CONNECTION_OK; }

  private:
    enum class State { kIdle, kResults, kCopyOut, kCopyBoth, kCopyClosing };  // closing: our half is closed

    static void keep_warning(void* self, const PGresult* notice) {
        auto& warnings = static_cast<LibpqReplication*>(self)->warnings_;
        const char* text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
        if (text == nullptr) return;
        if (warnings.size() == kWarningsKept) warnings.pop_front();
        warnings.push_back(one_line(text));
    }

    Result<ReplicationPart> next_result(const Context& context) {
        AETERNA_ASSIGN(const LibpqResult result, next_libpq_result(session_.get(), what_, context));
        if (!result) {
            state_ = State::kIdle;
            return ReplicationPart{};
        }
        switch (PQresultStatus(result.get())) {
            case PGRES_TUPLES_OK: return ReplicationPart{ReplicationPart::Kind::kRows, libpq_rows(result.get()), {}};
            case PGRES_COMMAND_OK:
            case PGRES_EMPTY_QUERY: return next_result(context);
            case PGRES_COPY_OUT: return begin_copy(State::kCopyOut);
            case PGRES_COPY_BOTH: return begin_copy(State::kCopyBoth);
            // The server ended a COPY BOTH that we had not ended: libpq stays in COPY IN until our half is closed.
            case PGRES_COPY_IN:
                if (PQputCopyEnd(session_.get(), nullptr) < 0) return libpq_session_error(session_.get(), what_);
                AETERNA_TRY(flush_copy(context));
                return next_result(context);
            default: return failed(result.get(), context);
        }
    }

    Result<ReplicationPart> begin_copy(State state) {
        state_ = state;
        return ReplicationPart{ReplicationPart::Kind::kCopyBegin, {}, {}};
    }

    Result<ReplicationPart> next_data(const Context& context) {
        while (true) {
            char* buffer = nullptr;
            const int size = PQgetCopyData(session_.get(), &buffer, /*async=*/1);
            message_.reset(buffer);
            if (size > 0) {
                return ReplicationPart{ReplicationPart::Kind::kCopyData, {}, {buffer, static_cast<std::size_t>(size)}};
            }
            if (size == -1) {
                state_ = State::kResults;
                return ReplicationPart{ReplicationPart::Kind::kCopyEnd, {}, {}};
            }
            if (size < 0) return dead(libpq_session_error(session_.get(), what_));
            // Our own words may still be waiting to be sent.
            const int unsent = PQflush(session_.get());
            if (unsent < 0) return dead(libpq_session_error(session_.get(), what_));
            const short events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
            AETERNA_TRY(wait_ready(PQsocket(session_.get()), events, context, what_));
            if (PQconsumeInput(session_.get()) != 1) return dead(libpq_session_error(session_.get(), what_));
        }
    }

    // The command is over with its error; what libpq still has of it is taken, so that the next one may begin.
    Error failed(const PGresult* result, const Context& context) {
        Error error = libpq_statement_error(result, what_);
        while (true) {
            auto rest = next_libpq_result(session_.get(), what_, context);
            if (!rest) return dead(std::move(error));
            if (!*rest) break;
        }
        if (PQstatus(session_.get()) != CONNECTION_OK) return dead(std::move(error));
        state_ = State::kIdle;
        return error;
    }

    // Only waits for room: a walsender reads its peer's words whatever it has to send, and reading here would let
    // the stream pile up in libpq's buffer.
    Status flush_copy(const Context& context) {
        while (true) {
            const int pending = PQflush(session_.get());
            if (pending == 0) return {};
            if (pending < 0) return dead(libpq_session_error(session_.get(), what_));
            AETERNA_TRY(wait_ready(PQsocket(session_.get()), POLLOUT, context, what_));
        }
    }

    Status check_session() const {
        if (session_) return {};
        return make_error(ErrorCode::kConnectionLost, fmt::format("{}: the session is closed", what_));
    }

    Error usage(std::string_view why) const { return make_error(ErrorCode::kUsage, fmt::format("{}: {}", what_, why)); }

    Error dead(Error error) {
        message_.reset();
        session_.reset();
        error.effect = Effect::kUnknown;
        return error;
    }

    LibpqSession session_;
    std::string what_;
    State state_ = State::kIdle;
    std::unique_ptr<char, CopyCloser> message_;
    std::deque<std::string> warnings_;
};

class LibpqReplicationConnector final : public ReplicationConnector {
  public:
    Result<std::unique_ptr<ReplicationConnection>> connect(const SqlTarget& target, const Context& context) override {
        const std::string what = fmt::format("replication from '{}'", target.endpoint.to_string());
        AETERNA_ASSIGN(LibpqSession session,
                       open_libpq_session(target, LibpqMode::kPhysicalReplication, what, context));
        return std::make_unique<LibpqReplication>(std::move(session), what);
    }
};

}  // namespace

std::unique_ptr<ReplicationConnector> make_libpq_replication_connector() {
    return std::make_unique<LibpqReplicationConnector>();
}

}  // namespace aeterna::env
