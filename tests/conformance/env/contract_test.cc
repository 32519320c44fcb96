// What env/*.h promises, asked of env/posix and env/sim alike.
#include <atomic>
#include <csignal>

#include "rooms.h"

namespace aeterna::env::testing {
namespace {

template <class Room>
class EnvContract : public ::testing::Test {
  protected:
    // Runs the body in the room; no assertion may leave it early.
    template <class Body>
    void in_room(Body body) {
        room.run([&] { body(room.env()); });
    }
    Context within(Duration duration, std::stop_token stop = {}) {
        return {room.env().clock.now() + duration, std::move(stop), "test"};
    }
    Room room;
};

using Rooms = ::testing::Types<PosixRoom, SimRoom>;
TYPED_TEST_SUITE(EnvContract, Rooms);

TYPED_TEST(EnvContract, SleepingEndsAtItsTimeOrAtAStop) {
    this->in_room([&](const Env& env) {
        const MonoTime begun = env.clock.now();
        EXPECT_TRUE(env.clock.sleep_for(TypeParam::kShort, {}));
        EXPECT_GE(env.clock.now() - begun, TypeParam::kShort);

        std::stop_source stop;
        bool slept = true;
        const auto thread = env.threads.start("sleeper", [&](const std::stop_token&) {
            slept = env.clock.sleep_for(1h, stop.get_token());
        });
        stop.request_stop();
        thread->join();
        EXPECT_FALSE(slept);
        EXPECT_FALSE(env.clock.sleep_for(1h, stop.get_token()));
    });
}

TYPED_TEST(EnvContract, ASignalWakesOneWaitAlsoALaterOne) {
    this->in_room([&](const Env& env) {
        const auto signal = env.threads.make_signal();
        signal->notify();
        EXPECT_TRUE(signal->wait_until(env.clock.now() + 1h, {}));
        // It has reset itself.
        EXPECT_FALSE(signal->wait_until(env.clock.now() + TypeParam::kShort, {}));

        std::atomic<int> woken{0};
        const auto wait = [&](const std::stop_token& stop) {
            if (signal->wait_until(env.clock.now() + 1h, stop)) ++woken;
        };
        const auto first = env.threads.start("first", wait);
        const auto second = env.threads.start("second", wait);
        signal->notify();
        while (woken == 0) env.clock.sleep_for(1ms, {});
        first->request_stop();
        second->request_stop();
        first->join();
        second->join();
        EXPECT_EQ(woken, 1);
    });
}

TYPED_TEST(EnvContract, AThreadIsStoppedAndJoinedByItsEnd) {
    this->in_room([&](const Env& env) {
        bool ended = false;
        {
            const auto thread = env.threads.start("thread", [&](const std::stop_token& stop) {
                env.clock.sleep_for(1h, stop);
                ended = true;
            });
        }
        EXPECT_TRUE(ended);
    });
}

TYPED_TEST(EnvContract, NobodyListeningIsARefusal) {
    this->in_room([&](const Env& env) {
        const Endpoint nobody = this->room.free_endpoint();
        EXPECT_EQ(env.dialer.connect(nobody, this->within(5s)).error().code,
                  ErrorCode::kConnectionRefused);
        HttpRequest request;
        request.url = "http://" + nobody.to_string() + "/";
        EXPECT_EQ(env.http.send(request, this->within(5s)).error().code,
                  ErrorCode::kConnectionRefused);
        SqlTarget target;
        target.endpoint = nobody;
        target.user = "u";
        target.database = "d";
        EXPECT_EQ(env.sql.connect(target, this->within(5s)).error().code,
                  ErrorCode::kConnectionRefused);
    });
}

TYPED_TEST(EnvContract, HttpCarriesMethodPathQueryAndBody) {
    this->in_room([&](const Env& env) {
        const Endpoint here = this->room.free_endpoint();
        const auto server = env.http_listener.serve(here, [](const ServerRequest& request) {
            const auto question = request.query.find("q");
            ServerResponse response;
            response.status = 207;
            response.body = request.method + " " + request.path + " " +
                            (question == request.query.end() ? "-" : question->second) + " " +
                            request.body;
            return response;
        });
        EXPECT_TRUE(server) << (server ? "" : server.error().to_string());
        EXPECT_FALSE(env.dialer.can_listen(here));
        EXPECT_EQ(
            env.http_listener.serve(here, [](const ServerRequest&) { return ServerResponse(); })
                .error()
                .code,
            ErrorCode::kAlreadyExists);
        HttpRequest request;
        request.method = "POST";
        request.url = "http://" + here.to_string() + "/a/b?q=7";
        request.body = "text";
        const auto response = env.http.send(request, this->within(10s));
        EXPECT_TRUE(response) << (response ? "" : response.error().to_string());
        if (response) {
            EXPECT_EQ(response->status, 207);
            EXPECT_EQ(response->body, "POST /a/b 7 text");
        }
    });
}

TYPED_TEST(EnvContract, SilenceIsATimeoutWithUnknownEffectAndAStopIsCancelled) {
    this->in_room([&](const Env& env) {
        const Endpoint here = this->room.free_endpoint();
        std::stop_source open;
        auto server = env.http_listener.serve(here, [&](const ServerRequest&) {
            env.clock.sleep_for(1h, open.get_token());
            return ServerResponse();
        });
        HttpRequest request;
        request.method = "POST";
        request.url = "http://" + here.to_string() + "/";
        request.body = "x";
        const auto silent = env.http.send(request, this->within(TypeParam::kShort));
        EXPECT_EQ(silent.error().code, ErrorCode::kTimeout);
        EXPECT_EQ(silent.error().effect, Effect::kUnknown);
        request.method = "GET";
        request.body.clear();
        EXPECT_EQ(env.http.send(request, this->within(TypeParam::kShort)).error().effect,
                  Effect::kNone);

        std::stop_source stop;
        ErrorCode code{};
        const auto thread = env.threads.start("asker", [&](const std::stop_token&) {
            code = env.http.send(request, this->within(1h, stop.get_token())).error().code;
        });
        env.clock.sleep_for(TypeParam::kShort, {});
        stop.request_stop();
        thread->join();
        EXPECT_EQ(code, ErrorCode::kCancelled);
        open.request_stop();
    });
}

TYPED_TEST(EnvContract, AConnectionThatSaysNothingTimesOut) {
    this->in_room([&](const Env& env) {
        const Endpoint here = this->room.free_endpoint();
        const auto server =
            env.http_listener.serve(here, [](const ServerRequest&) { return ServerResponse(); });
        auto stream = env.dialer.connect(here, this->within(5s));
        EXPECT_TRUE(stream) << (stream ? "" : stream.error().to_string());
        if (!stream) return;
        char buffer[8];
        EXPECT_EQ((*stream)->read_some(buffer, this->within(TypeParam::kShort)).error().code,
                  ErrorCode::kTimeout);
    });
}

TYPED_TEST(EnvContract, FilesAreReplacedWholeListedAndRemoved) {
    this->in_room([&](const Env& env) {
        const std::string folder = this->room.directory() + "/a/b";
        EXPECT_EQ(env.files.read(folder + "/none").error().code, ErrorCode::kNotFound);
        EXPECT_EQ(env.files.write_durable(folder + "/file", "x").error().code,
                  ErrorCode::kNotFound);
        EXPECT_TRUE(env.files.make_directories(folder));
        EXPECT_TRUE(env.files.make_directories(folder));
        EXPECT_TRUE(env.files.write_durable(folder + "/file", "old"));
        EXPECT_TRUE(env.files.write_durable(folder + "/file", "new"));
        EXPECT_EQ(env.files.read(folder + "/file").value_or("?"), "new");
        EXPECT_EQ(env.files.read(folder + "/file", 2).error().code, ErrorCode::kIo);
        {
            auto log = env.files.open_append(folder + "/log");
            EXPECT_TRUE(log && (*log)->append("one ") && (*log)->append("two") && (*log)->sync());
        }
        EXPECT_EQ(env.files.read_tail(folder + "/log", 3).value_or("?"), "two");
        EXPECT_EQ(env.files.list(folder).value_or(std::vector<std::string>()),
                  (std::vector<std::string>{"file", "log"}));
        EXPECT_FALSE(env.files.remove(folder));
        EXPECT_TRUE(env.files.remove(folder + "/file"));
        EXPECT_TRUE(env.files.remove(folder + "/file"));
        EXPECT_TRUE(env.files.remove_tree(this->room.directory() + "/a"));
        EXPECT_FALSE(env.files.exists(folder));
        EXPECT_EQ(env.files.list(folder).error().code, ErrorCode::kNotFound);
        EXPECT_EQ(env.files.canonical(folder + "/./x/../y/"), folder + "/y");
    });
}

TYPED_TEST(EnvContract, ALockExcludesUntilItIsReleased) {
    this->in_room([&](const Env& env) {
        const std::string path = this->room.directory() + "/lock";
        auto first = env.files.lock(path);
        EXPECT_TRUE(first);
        EXPECT_EQ(env.files.lock(path).error().code, ErrorCode::kLocked);
        if (first) first->reset();
        EXPECT_TRUE(env.files.lock(path));
    });
}

TYPED_TEST(EnvContract, AProcessIsNamedByPidAndStartAndObeysSignals) {
    this->in_room([&](const Env& env) {
        SpawnOptions options;
        options.argv = {"sleep", "1000"};
        const auto child = env.processes.spawn(options);
        EXPECT_TRUE(child) << (child ? "" : child.error().to_string());
        if (!child) return;
        EXPECT_TRUE(env.processes.is_alive(*child));
        EXPECT_FALSE(env.processes.is_alive({child->pid, child->start_ticks + 1}));
        EXPECT_EQ(env.processes.signal({child->pid, child->start_ticks + 1}, SIGKILL).error().code,
                  ErrorCode::kNotFound);
        const auto info = env.processes.inspect(child->pid);
        EXPECT_TRUE(info && info->command == "sleep");
        EXPECT_TRUE(env.processes.signal(*child, SIGSTOP));
        while (env.processes.inspect(child->pid)->state != 'T') env.clock.sleep_for(1ms, {});
        EXPECT_FALSE(env.processes.wait_gone(*child, this->within(TypeParam::kShort)));
        // A stopped one dies of SIGKILL all the same.
        EXPECT_TRUE(env.processes.signal(*child, SIGKILL));
        EXPECT_TRUE(env.processes.wait_gone(*child, this->within(10s)));
        EXPECT_FALSE(env.processes.inspect(child->pid));
        EXPECT_EQ(env.processes.signal(*child, SIGKILL).error().code, ErrorCode::kNotFound);
        EXPECT_EQ(env.processes.signal({1, 0}, SIGKILL).error().code, ErrorCode::kUsage);
    });
}

}  // namespace
}  // namespace aeterna::env::testing
