#include "repository/sessions.h"

#include <fmt/format.h>

#include <array>

#include "base/strings.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kSessions = "sessions/";
constexpr std::array<std::string_view, 3> kKinds = {"read", "write", "prune"};
constexpr Duration kRemovalLimit = std::chrono::seconds(10);

std::optional<SessionInfo> parse_session(const ObjectInfo& object, WallTime now) {
    const auto parts = split(std::string_view(object.name).substr(kSessions.size()), '-');
    if (parts.size() != 3) return std::nullopt;
    for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
        const auto started = to_integer(parts[1]);
        if (kKinds[kind] != parts[0] || !started) continue;
        return SessionInfo{object.name, static_cast<SessionKind>(kind), from_unix_us(*started), object.modified,
                           now - object.modified > kSessionStale};
    }
    return std::nullopt;
}

}  // namespace

Result<std::vector<SessionInfo>> list_sessions(Storage& storage, const env::Context& context) {
    AETERNA_ASSIGN(const WallTime now, storage.now(context));
    std::vector<SessionInfo> sessions;
    AETERNA_TRY(storage.list(
        std::string(kSessions),
        [&](const ObjectInfo& object) {
            if (auto session = parse_session(object, now)) sessions.push_back(std::move(*session));
            return true;
        },
        context));
    return sessions;
}

Result<std::vector<SessionInfo>> remove_stale_sessions(Storage& storage, const env::Context& context) {
    AETERNA_ASSIGN(auto sessions, list_sessions(storage, context));
    std::erase_if(sessions, [](const SessionInfo& session) { return !session.is_stale; });
    for (const SessionInfo& session : sessions) AETERNA_TRY(storage.remove(session.name, context));
    return sessions;
}

Result<std::unique_ptr<Session>> Session::begin(Storage& storage, SessionKind kind, const Ports& ports,
                                                const env::Context& context) {
    // The start is taken before the session can be seen: it is never later than anything its owner does.
    AETERNA_ASSIGN(const WallTime started, storage.now(context));
    const std::string name = fmt::format("{}{}-{:016}-{:016x}", kSessions, kKinds[static_cast<std::size_t>(kind)],
                                         to_unix_us(started), ports.random.next());
    AETERNA_TRY(storage.put(name, {}, PutMode::kIfAbsent, context));
    std::unique_ptr<Session> session(new Session(storage, ports, name, started));
    session->thread_ = ports.threads.start(
        "repo-session", [raw = session.get()](const std::stop_token& stop) { raw->refresh(stop); });
    return session;
}

Session::~Session() {
    thread_.reset();
    static_cast<void>(storage_.remove(name_, {ports_.clock.now() + kRemovalLimit, {}, ""}).has_value());
}

// Who was away for too long may be thought dead, and what he had stored may be gone: a refresh cannot undo that.
void Session::refresh(const std::stop_token& stop) {
    while (ports_.clock.sleep_for(kSessionRefresh, stop)) {
        const env::Context context{ports_.clock.now() + kSessionRefresh, stop, ""};
        const Result<bool> fresh = is_fresh(context);
        if (fresh && !*fresh) is_lost_ = true;
        if (!fresh || is_lost_) continue;  // an error may pass; if it does not, the age tells
        static_cast<void>(storage_.put(name_, {}, PutMode::kOverwrite, context).has_value());
    }
}

Result<bool> Session::is_fresh(const env::Context& context) {
    const Result<ObjectInfo> there = storage_.stat(name_, context);
    if (!there && there.error().code == ErrorCode::kNotFound) return false;
    if (!there) return there.error();
    AETERNA_ASSIGN(const WallTime now, storage_.now(context));
    return now - there->modified <= kSessionStale / 2;
}

Status Session::verify(const env::Context& context) {
    AETERNA_ASSIGN(const bool fresh, is_fresh(context));
    if (fresh && !is_lost_) return {};
    return make_error(ErrorCode::kUnavailable, "others may think that this session is dead",
                      "Run it again; what it stored is used then.");
}

}  // namespace aeterna::repository
