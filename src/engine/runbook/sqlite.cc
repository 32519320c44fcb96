#include "engine/runbook/sqlite.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::engine::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 5000;
constexpr int kRetryMs = 50;

}  // namespace

Statement::~Statement() {
    if (handle_ == nullptr) return;
    sqlite3_reset(handle_);
    sqlite3_clear_bindings(handle_);
}

Statement& Statement::bind(const std::string& text) {
    const int code = handle_ == nullptr ? SQLITE_MISUSE
                                        : sqlite3_bind_text(handle_, ++position_, text.data(),
                                                            static_cast<int>(text.size()), SQLITE_TRANSIENT);
    if (first_error_ == SQLITE_OK) first_error_ = code;
    return *this;
}

Statement& Statement::bind(std::int64_t number) {
    const int code = handle_ == nullptr ? SQLITE_MISUSE : sqlite3_bind_int64(handle_, ++position_, number);
    if (first_error_ == SQLITE_OK) first_error_ = code;
    return *this;
}

Statement& Statement::bind(WallTime time) { return bind(to_unix_us(time)); }

Statement& Statement::bind(const std::optional<WallTime>& time) { return time ? bind(*time) : bind_null(); }

Statement& Statement::bind_null() {
    const int code = handle_ == nullptr ? SQLITE_MISUSE : sqlite3_bind_null(handle_, ++position_);
    if (first_error_ == SQLITE_OK) first_error_ = code;
    return *this;
}

Result<bool> Statement::step() {
    if (handle_ == nullptr) return connection_.error(SQLITE_ERROR);
    if (first_error_ != SQLITE_OK) return connection_.error(first_error_);
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return connection_.error(code);
}

Status Statement::run() {
    AETERNA_ASSIGN(const bool has_row, step());
    static_cast<void>(has_row);
    return {};
}

std::string Statement::text(int column) const {
    const unsigned char* bytes = sqlite3_column_text(handle_, column);
    if (bytes == nullptr) return "";
    return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(handle_, column); }

WallTime Statement::time(int column) const { return from_unix_us(number(column)); }

std::optional<WallTime> Statement::optional_time(int column) const {
    if (sqlite3_column_type(handle_, column) == SQLITE_NULL) return std::nullopt;
    return time(column);
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path) {
    auto connection = std::make_unique<Connection>();
    connection->path_ = path;
    sqlite3* handle = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    connection->handle_.reset(handle);
    if (code != SQLITE_OK) return connection->error(code);
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    // The switch to WAL does not wait for other openers by itself: SQLite calls no busy handler for it.
    Status wal = connection->execute("PRAGMA journal_mode=WAL");
    for (int waited = 0; !wal && wal.error().code == ErrorCode::kLocked && waited < kBusyTimeoutMs;
         waited += kRetryMs) {
        sqlite3_sleep(kRetryMs);
        wal = connection->execute("PRAGMA journal_mode=WAL");
    }
    if (!wal) return wal.error();
    AETERNA_TRY(connection->execute("PRAGMA synchronous=FULL"));
    return connection;
}

Status Connection::execute(const char* sql) {
    const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return error(code);
    return {};
}

sqlite3_stmt* Connection::prepare(const char* sql) {
    auto& slot = statements_[sql];
    if (slot == nullptr) {
        sqlite3_stmt* handle = nullptr;
        sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
        slot.reset(handle);
    }
    return slot.get();
}

Error Connection::error(int code) const {
    const int primary = code & 0xff;
    const char* detail = handle_ != nullptr ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code);
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
        return make_error(ErrorCode::kLocked, fmt::format("the journal '{}' is busy", path_),
                          "Another aeterna-dr kept it locked for 5 s; look for one that hangs.");
    }
    return make_error(ErrorCode::kIo, fmt::format("the journal '{}': {}", path_, one_line(detail)),
                      "Check the disk and the permissions of the state directory.");
}

Result<std::int64_t> Connection::user_version() {
    Statement statement(*this, prepare("PRAGMA user_version"));
    AETERNA_ASSIGN(const bool has_row, statement.step());
    return has_row ? statement.number(0) : 0;
}

}  // namespace aeterna::engine::sqlite
