// Small fakes of the env ports for unit tests: a clock that is moved by hand, files in memory, threads that are only
// recorded, and ports to the network that refuse. FakeEnv puts them together; replace members before env().
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "env/env.h"

namespace aeterna::testing {

// Starts at 2026-03-01T10:00:00Z. Sleeping moves it; both clocks move together.
class FakeClock final : public env::Clock {
  public:
    MonoTime now() const override { return now_; }
    WallTime wall_now() const override {
        return WallTime(std::chrono::seconds(1772359200)) +
               std::chrono::duration_cast<WallTime::duration>(now_ - MonoTime(std::chrono::hours(1)));
    }
    bool sleep_until(MonoTime until, const std::stop_token& stop) override {
        if (stop.stop_requested()) return false;
        if (until > now_) now_ = until;
        return true;
    }
    void advance(Duration duration) { now_ += duration; }
    env::Context context(Duration timeout = std::chrono::minutes(1), std::stop_token stop = {}) const {
        return {now_ + timeout, std::move(stop), "test"};
    }

  private:
    MonoTime now_{std::chrono::hours(1)};
};

class FakeRandom final : public env::Random {
  public:
    std::uint64_t next() override { return ++last_; }

  private:
    std::uint64_t last_ = 0;
};

// Bodies are kept, not run: a test runs them by hand with run().
class FakeThreads final : public env::Threads {
  public:
    struct FakeThread final : env::Thread {
        std::stop_source stop;
        std::function<void(std::stop_token)> body;
        void request_stop() override { stop.request_stop(); }
        void join() override {}
    };
    struct FakeSignal final : env::Signal {
        bool notified = false;
        void notify() override { notified = true; }
        bool wait_until(MonoTime, const std::stop_token&) override { return std::exchange(notified, false); }
    };
    std::unique_ptr<env::Thread> start(std::string, std::function<void(std::stop_token)> body) override {
        auto thread = std::make_unique<FakeThread>();
        thread->body = std::move(body);
        last = thread.get();
        ++started;
        return thread;
    }
    std::unique_ptr<env::Signal> make_signal() override { return std::make_unique<FakeSignal>(); }
    FakeThread* last = nullptr;  // the newest one; owned by whoever started it
    int started = 0;
};

// Bodies run when they are started: a look's probes are over when it joins them.
class InlineThreads final : public env::Threads {
  public:
    std::unique_ptr<env::Thread> start(std::string name, std::function<void(std::stop_token)> body) override {
        body({});
        return idle_.start(std::move(name), {});
    }
    std::unique_ptr<env::Signal> make_signal() override { return idle_.make_signal(); }

  private:
    FakeThreads idle_;
};

class FakeFiles : public env::Files {
  public:
    std::map<std::string, std::string> content;
    std::map<std::string, std::string> environment;

    Result<std::string> read(const std::string& path, std::size_t limit_bytes) override {
        const auto found = content.find(path);
        if (found == content.end()) return make_error(ErrorCode::kNotFound, "no such file '" + path + "'");
        if (found->second.size() > limit_bytes) return make_error(ErrorCode::kIo, "too large");
        return found->second;
    }
    Result<std::string> read_tail(const std::string& path, std::size_t limit_bytes) override {
        AETERNA_ASSIGN(const std::string all, read(path, SIZE_MAX));
        return all.size() <= limit_bytes ? all : all.substr(all.size() - limit_bytes);
    }
    Status write_durable(const std::string& path, std::string_view text, int, std::optional<env::Owner>) override {
        content[path] = std::string(text);
        return {};
    }
    Result<std::unique_ptr<env::AppendFile>> open_append(const std::string& path, int) override {
        struct Append final : env::AppendFile {
            explicit Append(std::string& target) : text(target) {}
            Status append(std::string_view bytes) override {
                text += bytes;
                return {};
            }
            Status sync() override { return {}; }
            std::string& text;
        };
        return std::unique_ptr<env::AppendFile>(std::make_unique<Append>(content[path]));
    }
    Status make_directories(const std::string&, int) override { return {}; }
    Result<std::vector<std::string>> list(const std::string& directory) override {
        std::set<std::string> names;
        for (const auto& [path, text] : content) {
            if (!path.starts_with(directory + "/")) continue;
            const std::string rest = path.substr(directory.size() + 1);
            names.insert(rest.substr(0, rest.find('/')));
        }
        return std::vector<std::string>(names.begin(), names.end());
    }
    bool exists(const std::string& path) override { return content.contains(path); }
    Status remove(const std::string& path) override {
        content.erase(path);
        return {};
    }
    Status remove_tree(const std::string& path) override {
        std::erase_if(content, [&](const auto& file) {
            return file.first == path || file.first.starts_with(path + "/");
        });
        return {};
    }
    Status change_owner(const std::string&, env::Owner) override { return {}; }
    Status change_mode(const std::string&, int) override { return {}; }
    Result<env::Owner> owner(const std::string&) override { return env::Owner{}; }
    std::string canonical(const std::string& path) override { return path; }
    std::map<std::string, env::Room> rooms;  // by path
    Result<env::Room> room(const std::string& path) override {
        const auto found = rooms.find(path);
        return found == rooms.end() ? env::Room{1ULL << 40, 1, 1ULL << 40} : found->second;
    }
    Result<std::unique_ptr<env::FileLock>> lock(const std::string& path) override {
        struct Lock final : env::FileLock {
            Lock(std::set<std::string>& all, std::string mine) : locks(all), path(std::move(mine)) {}
            ~Lock() override { locks.erase(path); }
            std::set<std::string>& locks;
            std::string path;
        };
        if (!locks_.insert(path).second) return make_error(ErrorCode::kLocked, "'" + path + "' is locked");
        return std::unique_ptr<env::FileLock>(std::make_unique<Lock>(locks_, path));
    }
    std::optional<std::string> environment_variable(const std::string& name) override {
        const auto found = environment.find(name);
        if (found == environment.end()) return std::nullopt;
        return found->second;
    }

  private:
    std::set<std::string> locks_;
};

class FakeProcesses : public env::Processes {
  public:
    Result<env::ProcessId> spawn(const env::SpawnOptions&) override { return refuse(); }
    Result<env::RunResult> run(const env::RunOptions&, const env::Context&) override { return refuse(); }
    std::optional<env::ProcessInfo> inspect(int pid) override {
        if (!alive.contains(pid)) return std::nullopt;
        return env::ProcessInfo{{pid, 1}, 1, 'S', 1000, "aeterna-dr", "/"};
    }
    bool is_alive(const env::ProcessId& id) override { return alive.contains(id.pid) && id.start_ticks == 1; }
    Status signal(const env::ProcessId&, int) override { return refuse(); }
    bool wait_gone(const env::ProcessId&, const env::Context&) override { return true; }
    std::vector<env::ProcessInfo> list() override {
        std::vector<env::ProcessInfo> all;
        for (const int pid : alive) all.push_back(*inspect(pid));
        return all;
    }
    std::vector<std::string> environment_of(int) override { return {}; }
    std::uint32_t effective_uid() override { return 1000; }
    int own_pid() override { return 4711; }
    Result<env::User> find_user(const std::string&) override { return refuse(); }
    std::optional<std::string> find_program(const std::string&, const std::vector<std::string>&) override {
        return std::nullopt;
    }
    std::string own_executable() override { return "/usr/bin/aeterna-dr"; }

    std::set<int> alive;  // pids; each began with tick 1

  private:
    static Error refuse() { return make_error(ErrorCode::kNotFound, "no processes in this test"); }
};

class FakeDialer final : public env::Dialer {
  public:
    Result<std::unique_ptr<env::Stream>> connect(const env::Endpoint&, const env::Context&) override {
        return make_error(ErrorCode::kConnectionRefused, "no network in this test");
    }
    bool can_listen(const env::Endpoint&) override { return false; }
};

// Answers by `handler`; refuses without one.
class FakeHttp final : public env::HttpClient {
  public:
    std::function<Result<env::HttpResponse>(const env::HttpRequest&)> handler;
    Result<env::HttpResponse> send(const env::HttpRequest& request, const env::Context&) override {
        if (handler) return handler(request);
        return make_error(ErrorCode::kConnectionRefused, "no network in this test");
    }
};

class FakeHttpListener final : public env::HttpListener {
  public:
    Result<std::unique_ptr<env::HttpServer>> serve(const env::Endpoint&, env::HttpHandler) override {
        return make_error(ErrorCode::kAlreadyExists, "no network in this test");
    }
};

class FakeSql final : public env::SqlConnector {
  public:
    Result<std::unique_ptr<env::SqlConnection>> connect(const env::SqlTarget&, const env::Context&) override {
        return make_error(ErrorCode::kConnectionRefused, "no network in this test");
    }
};

struct FakeEnv {
    FakeClock clock;
    FakeRandom random;
    FakeThreads threads;
    FakeFiles files;
    FakeProcesses processes;
    FakeDialer dialer;
    FakeHttp http;
    FakeHttpListener http_listener;
    FakeSql sql;
    NullLog log;
    env::Env env{clock, random, threads, files, processes, dialer, http, http_listener, sql, log};
};

}  // namespace aeterna::testing
