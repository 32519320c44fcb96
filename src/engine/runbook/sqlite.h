// A thin RAII layer over SQLite's C interface: a connection and its prepared statements. Only the journal uses it.
// One thread at a time per connection (the journal holds a mutex). Busy beyond 5 s is kLocked, all else kIo.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "base/time.h"

namespace aeterna::engine::sqlite {

struct CloseConnection {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
struct FinalizeStatement {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
};

class Connection;

// One use of a prepared statement: bind in order, then step. The destructor resets it for the next use.
class Statement {
  public:
    Statement(Connection& connection, sqlite3_stmt* handle) : connection_(connection), handle_(handle) {}
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(const std::string& text);
    Statement& bind(std::int64_t number);
    Statement& bind(WallTime time);
    Statement& bind(const std::optional<WallTime>& time);
    Statement& bind_null();

    // True when there is a row to read.
    [[nodiscard]] Result<bool> step();
    // Runs a statement that gives no rows; durable when it returns.
    Status run();

    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] WallTime time(int column) const;
    [[nodiscard]] std::optional<WallTime> optional_time(int column) const;

  private:
    Connection& connection_;
    sqlite3_stmt* handle_;
    int position_ = 0;
    int first_error_ = SQLITE_OK;
};

class Connection {
  public:
    // Opens an existing, possibly empty file: WAL mode, every commit synced.
    [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const std::string& path);
    Status execute(const char* sql);
    // `sql` must be a literal: its address is the key of the statement cache. nullptr when it cannot be prepared;
    // Statement then reports the error.
    [[nodiscard]] sqlite3_stmt* prepare(const char* sql);
    [[nodiscard]] Error error(int code) const;
    [[nodiscard]] Result<std::int64_t> user_version();
    // Rows that the last insert, update or delete has touched.
    [[nodiscard]] std::size_t changes() const { return static_cast<std::size_t>(sqlite3_changes(handle_.get())); }

  private:
    std::string path_;
    std::unique_ptr<sqlite3, CloseConnection> handle_;
    std::unordered_map<const char*, std::unique_ptr<sqlite3_stmt, FinalizeStatement>> statements_;
};

}  // namespace aeterna::engine::sqlite
