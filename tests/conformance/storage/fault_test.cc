// The S3 driver behind a proxy that breaks one request of a piece of work, each request and each fault in turn; then
// the work must have succeeded, and what is there must be what was written. On every S3 server that is to be had.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "env/posix/posix_env.h"
#include "fault_proxy.h"
#include "s3_servers.h"

namespace aeterna::repository::testing {
namespace {

const env::Env& real() {
    static env::PosixEnv env(env::LogFormat::kText, LogLevel::kError);
    return env.env();
}

env::Context soon() { return {real().clock.now() + 60s, {}, "test"}; }

std::span<const char> view(std::string_view text) { return {text.data(), text.size()}; }

struct ServerKind {
    std::string name;
    std::function<std::shared_ptr<S3Server>()> start;
    std::string missing;
};

void PrintTo(const ServerKind& kind, std::ostream* out) { *out << kind.name; }

ServerKind stand_in_kind() {
    return {"StandIn", [] { return std::shared_ptr<S3Server>(start_stand_in(real())); }, ""};
}

ServerKind versitygw_kind() {
    const auto binary = find_versitygw(real());
    std::function<std::shared_ptr<S3Server>()> real_one;
    if (binary) {
        real_one = [binary] {
            static const std::shared_ptr<S3Server> server = start_versitygw(real(), *binary);
            return server;
        };
    }
    return {"S3", real_one, "versitygw is not built: scripts/build-versitygw (needs Go)"};
}

class S3Faults : public ::testing::TestWithParam<ServerKind> {
  protected:
    void SetUp() override {
        if (GetParam().start == nullptr) GTEST_SKIP() << GetParam().missing;
        server = GetParam().start();
        ASSERT_NE(server, nullptr);
        credentials = std::make_unique<FixedCredentials>(server->place());
    }
    std::unique_ptr<S3Storage> open(const env::Endpoint& endpoint, const std::string& prefix, RetryPolicy retry) {
        S3Options options = options_for(server->place(), prefix);
        options.endpoint.url = "http://" + endpoint.to_string();
        options.retry = retry;
        return open(std::move(options));
    }
    std::unique_ptr<S3Storage> open(S3Options options) {
        auto opened = S3Storage::open({real().http, clock == nullptr ? real().clock : *clock, real().random,
                                       real().threads, *credentials}, std::move(options));
        EXPECT_TRUE(opened) << opened.error().to_string();
        return std::move(*opened);
    }
    static RetryPolicy quick() {
        RetryPolicy retry;
        retry.first_wait = 1ms;
        retry.longest_wait = 5ms;
        retry.attempts = 10;
        retry.attempt_timeout = 400ms;
        retry.slowest_bytes_per_second = 16U << 20;
        return retry;
    }
    static std::string fresh_prefix() { return "faults/" + std::to_string(real().random.next()); }

    std::shared_ptr<S3Server> server;
    std::unique_ptr<CredentialSource> credentials;
    env::Clock* clock = nullptr;
};

// Every kind of call once; the error of the first that fails.
Status work(Storage& storage, const std::string& pack) {
    AETERNA_TRY(storage.put("config", view("configuration"), PutMode::kIfAbsent, soon()));
    AETERNA_TRY(storage.put("sessions/a", view("begun"), PutMode::kOverwrite, soon()));
    AETERNA_TRY(storage.put("sessions/a", view("refreshed"), PutMode::kOverwrite, soon()));
    AETERNA_ASSIGN(const auto writer, storage.create("data/pack", soon()));
    AETERNA_TRY(writer->append(view(pack), soon()));
    AETERNA_TRY(writer->commit(soon()));
    AETERNA_ASSIGN(const ObjectInfo info, storage.stat("data/pack", soon()));
    std::string tail(1000, '\0');
    AETERNA_ASSIGN(const std::size_t count, storage.read("data/pack", info.bytes - 500, tail, soon()));
    if (count != 500 || !pack.ends_with(tail.substr(0, count))) return make_error(ErrorCode::kIo, "another tail");
    AETERNA_TRY(storage.put("index/1", view("x"), PutMode::kIfAbsent, soon()));
    AETERNA_TRY(storage.remove("index/1", soon()));
    std::vector<std::string> names;
    AETERNA_TRY(storage.list("", [&](const ObjectInfo& found) {
        names.push_back(found.name);
        return true;
    }, soon()));
    if (names != std::vector<std::string>{"config", "data/pack", "sessions/a"}) {
        return make_error(ErrorCode::kIo, fmt::format("{} names", names.size()));
    }
    AETERNA_TRY(storage.now(soon()));
    AETERNA_TRY(storage.sweep_unfinished(WallTime{}, soon()));
    return {};
}

std::string read_all(Storage& storage, const std::string& name) {
    const auto info = storage.stat(name, soon());
    if (!info) return "error: " + info.error().to_string();
    std::string bytes(info->bytes, '\0');
    const auto count = storage.read(name, 0, bytes, soon());
    return count ? bytes : "error: " + count.error().to_string();
}

TEST_P(S3Faults, OneBrokenRequestBreaksNothing) {
    const std::size_t part = std::max<std::size_t>(server->place().smallest_part_bytes, 256U << 10);
    std::string pack(2 * part + 77'777, '\0');
    for (std::size_t i = 0; i < pack.size(); ++i) pack[i] = static_cast<char>((i * 2654435761U) >> 24);
    for (const Fault fault : {Fault::kNone, Fault::kServerError, Fault::kSlowDown, Fault::kResetBefore,
                              Fault::kResetAfter, Fault::kTruncate, Fault::kStallBefore, Fault::kStallAfter,
                              Fault::kFlipRequestByte}) {
        int total = 0;
        for (int broken = 0; broken == 0 || broken < total; ++broken) {
            FaultProxy proxy(server->place().endpoint, [&](int number, const std::string&) {
                return number == broken ? fault : Fault::kNone;
            });
            const std::string prefix = fresh_prefix();
            const auto storage = open(proxy.endpoint(), prefix, quick());
            const Status done = work(*storage, pack);
            ASSERT_TRUE(done) << fault_name(fault) << " of request " << broken << ": " << done.error().to_string();
            total = fault == Fault::kNone ? 1 : std::min(proxy.requests(), 14);
            const auto direct = open(server->place().endpoint, prefix, quick());
            EXPECT_EQ(read_all(*direct, "config"), "configuration");
            EXPECT_EQ(read_all(*direct, "sessions/a"), "refreshed");
            EXPECT_TRUE(read_all(*direct, "data/pack") == pack) << fault_name(fault) << " of request " << broken;
        }
    }
}

TEST_P(S3Faults, ALastingFaultIsAClearError) {
    const struct {
        Fault fault;
        ErrorCode expected;
    } cases[] = {{Fault::kSlowDown, ErrorCode::kUnavailable},   {Fault::kServerError, ErrorCode::kUnavailable},
                 {Fault::kResetBefore, ErrorCode::kConnectionLost}, {Fault::kTruncate, ErrorCode::kConnectionLost},
                 {Fault::kStallBefore, ErrorCode::kTimeout}};
    for (const auto& row : cases) {
        FaultProxy proxy(server->place().endpoint, [&](int, const std::string&) { return row.fault; });
        RetryPolicy retry = quick();
        retry.attempts = 2;
        retry.attempt_timeout = row.fault == Fault::kStallBefore ? Duration(300ms) : Duration(10s);
        const auto storage = open(proxy.endpoint(), fresh_prefix(), retry);
        const Status done = storage->put("config", view("x"), PutMode::kOverwrite, soon());
        ASSERT_FALSE(done) << fault_name(row.fault);
        EXPECT_EQ(done.error().code, row.expected) << done.error().to_string();
        EXPECT_GE(proxy.requests(), 2) << fault_name(row.fault);
    }
}

TEST_P(S3Faults, AStopEndsAStalledCallAtOnce) {
    std::stop_source stop;
    FaultProxy proxy(server->place().endpoint, [&](int, const std::string&) {
        stop.request_stop();
        return Fault::kStallBefore;
    });
    RetryPolicy patient;
    patient.attempt_timeout = 1h;
    const auto storage = open(proxy.endpoint(), fresh_prefix(), patient);
    const Status done = storage->put("config", view("x"), PutMode::kOverwrite,
                                     {real().clock.now() + 1h, stop.get_token(), "test"});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kCancelled);
}

// Nothing on this layer can know; the authenticated entries above do. TLS would have seen it too.
TEST_P(S3Faults, AByteThatFlipsOnTheWayDownIsTheLayerAboves) {
    std::atomic<bool> is_flipping{false};
    FaultProxy proxy(server->place().endpoint, [&](int, const std::string& line) {
        return is_flipping && line.starts_with("GET") ? Fault::kFlipResponseByte : Fault::kNone;
    });
    const auto storage = open(proxy.endpoint(), fresh_prefix(), quick());
    ASSERT_TRUE(storage->put("a", view("0123456789"), PutMode::kIfAbsent, soon()));
    is_flipping = true;
    std::string bytes(10, '\0');
    const auto count = storage->read("a", 0, bytes, soon());
    ASSERT_TRUE(count);
    EXPECT_EQ(*count, 10U);
    EXPECT_NE(bytes, "0123456789");
}

TEST_P(S3Faults, AnUploadThatNobodyCouldFinishIsAborted) {
    const std::size_t part = std::max<std::size_t>(server->place().smallest_part_bytes, 256U << 10);
    std::atomic<bool> is_broken{true};
    FaultProxy proxy(server->place().endpoint, [&](int, const std::string& line) {
        return is_broken && line.find("partNumber=2") != std::string::npos ? Fault::kServerError : Fault::kNone;
    });
    RetryPolicy retry = quick();
    retry.attempts = 2;
    const std::string prefix = fresh_prefix();
    const auto storage = open(proxy.endpoint(), prefix, retry);
    {
        const auto writer = storage->create("data/pack", soon());
        ASSERT_TRUE(writer);
        const std::string bytes(3 * part, 'x');
        Status done = (*writer)->append(view(bytes), soon());
        if (done) done = (*writer)->commit(soon());
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::kUnavailable) << done.error().to_string();
    }
    EXPECT_EQ(storage->stat("data/pack", soon()).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(storage->sweep_unfinished(WallTime::max(), soon()), 0U) << "it was left behind";
}

class WrongClock final : public env::Clock {
  public:
    explicit WrongClock(Duration off) : off_(off) {}
    MonoTime now() const override { return real().clock.now(); }
    WallTime wall_now() const override {
        return real().clock.wall_now() + std::chrono::duration_cast<WallTime::duration>(off_);
    }
    bool sleep_until(MonoTime until, const std::stop_token& stop) override {
        return real().clock.sleep_until(until, stop);
    }

  private:
    Duration off_;
};

TEST_P(S3Faults, AWrongClockIsSaidToBeOne) {
    for (const Duration off : {Duration(2h), Duration(-2h)}) {
        WrongClock wrong(off);
        clock = &wrong;
        const auto storage = open(server->place().endpoint, fresh_prefix(), quick());
        std::string into(5, '\0');
        for (const Status& failed : {storage->put("a", view("x"), PutMode::kIfAbsent, soon()),
                                     Status(storage->stat("a", soon()).error()),
                                     Status(storage->read("a", 0, into, soon()).error())}) {
            ASSERT_FALSE(failed);
            EXPECT_EQ(failed.error().code, ErrorCode::kAuthentication) << failed.error().to_string();
            EXPECT_NE(failed.error().message.find(off > Duration(0) ? "ahead of" : "behind"), std::string::npos)
                << failed.error().to_string();
        }
        clock = nullptr;
    }
}

TEST_P(S3Faults, WrongKeysAndBucketsAreSaidToBe) {
    S3Place place = server->place();
    EXPECT_TRUE(open(options_for(place, fresh_prefix()))->verify_conditional_writes(soon()));
    S3Options options = options_for(place, fresh_prefix());
    options.endpoint.bucket = "no-such-bucket";
    const auto list_all = [](Storage& storage) {
        return storage.list("", [](const ObjectInfo&) { return true; }, soon());
    };
    EXPECT_EQ(list_all(*open(options)).error().code, ErrorCode::kNotFound);
    place.secret += "x";
    credentials = std::make_unique<FixedCredentials>(place);
    const Status refused = list_all(*open(options_for(place, "p")));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kAuthentication) << refused.error().to_string();
}

// A server with an authority of its own: https with it, a clear refusal without it.
TEST(S3Tls, Versitygw) {
    const auto binary = find_versitygw(real());
    if (!binary) GTEST_SKIP() << "versitygw is not built: scripts/build-versitygw (needs Go)";
    const auto server = start_versitygw(real(), *binary, true);
    ASSERT_NE(server, nullptr);
    FixedCredentials credentials(server->place());
    const S3Ports ports{real().http, real().clock, real().random, real().threads, credentials};
    S3Options options = options_for(server->place(), "tls");
    options.endpoint.sign_payload = false;
    const std::string pack(options.part_bytes * 2 + 5, 'p');
    auto trusting = S3Storage::open(ports, options);
    ASSERT_TRUE(trusting);
    const Status done = work(**trusting, pack);
    EXPECT_TRUE(done) << done.error().to_string();
    options.endpoint.tls.ca_file = "";
    auto doubting = S3Storage::open(ports, options);
    ASSERT_TRUE(doubting);
    const auto refused = (*doubting)->stat("config", soon());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kServer) << refused.error().to_string();
    EXPECT_NE(refused.error().hint.find("ca_file"), std::string::npos);
}

const auto kName = [](const auto& kind) { return kind.param.name; };
INSTANTIATE_TEST_SUITE_P(Storage, S3Faults, ::testing::Values(stand_in_kind()), kName);
// Apart, because it may be missing, and only it.
INSTANTIATE_TEST_SUITE_P(Versitygw, S3Faults, ::testing::Values(versitygw_kind()), kName);

}  // namespace
}  // namespace aeterna::repository::testing
