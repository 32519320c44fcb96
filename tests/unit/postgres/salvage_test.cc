// What only the lost primary has: which of its files are kept, and that nothing goes on where they cannot be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "../support/fake_env.h"
#include "fixtures.h"
#include "postgres/client/wal.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kSmallSegment = 1 << 20;

// As a server writes its first page; all else of it is nobody's business here.
std::string small_segment(std::uint64_t page_lsn) {
    std::string bytes(kSmallSegment, '\0');
    const auto put = [&](std::size_t at, auto value) { std::memcpy(&bytes[at], &value, sizeof(value)); };
    put(0, std::uint16_t{0xD110});
    put(2, std::uint16_t{2});
    put(8, page_lsn);
    put(32, static_cast<std::uint32_t>(kSmallSegment));
    return bytes;
}

class DiskThatFails final : public aeterna::testing::FakeFiles {
  public:
    std::string unreadable, full;  // paths that contain it; empty: none

    Result<std::string> read(const std::string& path, std::size_t limit_bytes) override {
        if (is_among(path, unreadable)) return make_error(ErrorCode::kIo, "input/output error");
        return FakeFiles::read(path, limit_bytes);
    }
    Status write_durable(const std::string& path, std::string_view text, int mode, std::optional<env::Owner> owner) override {
        if (is_among(path, full)) return make_error(ErrorCode::kNoSpace, "no space left on device");
        return FakeFiles::write_durable(path, text, mode, owner);
    }

  private:
    static bool is_among(const std::string& path, const std::string& part) {
        return !part.empty() && path.find(part) != std::string::npos;
    }
};

// postgres-1 is fenced, postgres-2 was promoted; timeline 1 forked inside segment 5.
struct Salvaging {
    Settings settings = three_nodes();
    aeterna::testing::FakeEnv fake;
    DiskThatFails files;
    env::Env env{fake.clock, fake.random, fake.threads, files, fake.processes, fake.dialer, fake.http, fake.http_listener,
                 fake.sql, fake.log};
    Json facts{{"old_primary", "postgres-1"},
               {"new_primary", "postgres-2"},
               {"fenced", {"patroni-1", "postgres-1"}},
               {"prove_loss", {{"received", {{"postgres-2", 5 * kSmallSegment + 9}, {"postgres-3", 9 * kSmallSegment}}}}}};
    engine::StepContext step{fake.clock.context(1min), facts, [](const std::string&) {}};
    std::unique_ptr<engine::Step> salvage;

    Salvaging() {
        settings.state_directory = "/state";
        settings.hosts = {{"host-1", "a", "local", "/fences", {{"postgres-1", "/data/postmaster.pid", {}, true}}}};
        for (std::uint64_t n = 3; n <= 7; ++n) put(1, n);
        salvage = make_salvage({settings, env, "", "", config::Assist::kAct});
    }
    static std::string name(std::uint32_t timeline, std::uint64_t n) {
        return wal_segment_name(timeline, n * kSmallSegment, kSmallSegment);
    }
    void put(std::uint32_t timeline, std::uint64_t n) {
        files.content["/data/pg_wal/" + name(timeline, n)] = small_segment(n * kSmallSegment);
    }
    std::vector<std::string> kept() { return files.list("/state/salvage/test/postgres").value(); }
};

TEST(Salvage, KeepsTheSegmentsFromTheForkOn) {
    Salvaging stage;
    ASSERT_TRUE(stage.salvage->apply(stage.step));
    EXPECT_THAT(stage.kept(), ElementsAre(Salvaging::name(1, 5), Salvaging::name(1, 6), Salvaging::name(1, 7)));
    EXPECT_EQ(stage.facts["salvaged"]["files"], 3);
    EXPECT_EQ(stage.facts["salvaged"]["bytes"], 3 * kSmallSegment);
    EXPECT_TRUE(stage.facts["salvaged"]["lost_writes"].is_null()) << "nobody could count";
    EXPECT_THAT(stage.facts["salvaged"]["summary"].get<std::string>(), HasSubstr("WAL of timeline 1 from 0/500009 on"));
    EXPECT_TRUE(stage.salvage->verify(stage.step));
    EXPECT_EQ(*stage.salvage->check(stage.step), engine::CheckOutcome::kAlreadyDone);
    stage.files.content.erase("/state/salvage/test/postgres/" + Salvaging::name(1, 6));
    EXPECT_FALSE(stage.salvage->verify(stage.step)) << "one of them is gone";
}

TEST(Salvage, LeavesWhatTheNewPrimaryHasOrNobodyHasWritten) {
    Salvaging stage;
    stage.files.content["/data/pg_wal/00000002.history"] = "1\t0/200000\twhy\n";
    stage.files.content["/data/pg_wal/archive_status/x.ready"] = "";
    stage.files.content["/data/pg_wal/" + Salvaging::name(2, 4) + ".partial"] = small_segment(4 * kSmallSegment);
    for (std::uint64_t n = 3; n <= 9; ++n) stage.put(2, n);
    // Made ready for later: of a recycled file the first page is an old one's.
    stage.files.content["/data/pg_wal/" + Salvaging::name(2, 7)] = small_segment(2 * kSmallSegment);
    ASSERT_TRUE(stage.salvage->apply(stage.step));
    EXPECT_THAT(stage.kept(), ElementsAre("00000002.history", Salvaging::name(2, 5), Salvaging::name(2, 6)));
    EXPECT_THAT(stage.facts["salvaged"]["summary"].get<std::string>(), HasSubstr("WAL of timeline 2"));
}

TEST(Salvage, TheForkIsWherePatroniSaysElseWhereTheSuccessorWas) {
    struct Row {
        const char* what;
        const char* history;
        std::size_t kept;
    };
    const Row table[] = {
        {"the old timeline ended in segment 6", "[[1,6291466,\"no recovery target specified\"]]", 2},
        {"it ended with segment 6", "[[1,7340032,\"no recovery target specified\"]]", 1},
        {"history has not heard of this one", "[]", 3},
        {"its newest entry is of another timeline", "[[4,7340042,\"older\"]]", 3},
        {"nobody answers", "", 3},
    };
    for (const Row& row : table) {
        SCOPED_TRACE(row.what);
        Salvaging stage;
        stage.fake.http.handler = [&](const env::HttpRequest& request) -> Result<env::HttpResponse> {
            if (request.url != "http://10.0.0.2:8008/history" || !*row.history) return refused();
            env::HttpResponse response;
            response.status = 200;
            response.body = row.history;
            return response;
        };
        ASSERT_TRUE(stage.salvage->apply(stage.step));
        EXPECT_EQ(stage.kept().size(), row.kept);
    }
}

TEST(Salvage, WhereTheForkIsNotKnownAllOfTheTimelineIsKept) {
    Salvaging stage;
    stage.facts.erase("prove_loss");
    ASSERT_TRUE(stage.salvage->apply(stage.step));
    EXPECT_EQ(stage.kept().size(), 5U);
}

TEST(Salvage, WhatCannotBeKeptWaitsForAPersonAndTheFenceStays) {
    struct Row {
        const char* reason;
        void (*change)(Salvaging&);
    };
    const Row table[] = {
        {"input/output error", [](Salvaging& s) { s.files.unreadable = Salvaging::name(1, 6); }},
        {"no space left on device", [](Salvaging& s) { s.files.full = "/state/salvage"; }},
        {"has no segments", [](Salvaging& s) { s.files.content.clear(); }},
        {"names no host that runs 'postgres-1'", [](Salvaging& s) { s.settings.hosts.clear(); }},
        {"has executor 'none'", [](Salvaging& s) { s.settings.hosts[0].executor = "none"; }},
    };
    for (const Row& row : table) {
        SCOPED_TRACE(row.reason);
        Salvaging stage;
        row.change(stage);
        EXPECT_EQ(*stage.salvage->check(stage.step), engine::CheckOutcome::kReady);
        const Status kept = stage.salvage->apply(stage.step);
        ASSERT_FALSE(kept);
        EXPECT_EQ(kept.error().code, ErrorCode::kAwaitingApproval);
        EXPECT_THAT(kept.error().message, HasSubstr("what only 'postgres-1' has could not be kept"));
        EXPECT_THAT(kept.error().message, HasSubstr(row.reason));
        EXPECT_EQ(stage.facts["fenced"], Json({"patroni-1", "postgres-1"}));
        EXPECT_FALSE(stage.facts.contains("salvaged")) << "it is asked again when the execution is resumed";
    }
}

TEST(Salvage, IsDueOnlyWhileTheReplacedOneIsHeldDown) {
    Salvaging stage;
    stage.facts["new_primary"] = "postgres-1";
    EXPECT_EQ(*stage.salvage->check(stage.step), engine::CheckOutcome::kNotDue) << "it came back and leads";
    stage.facts["new_primary"] = "postgres-2";
    stage.facts.erase("fenced");
    EXPECT_EQ(*stage.salvage->check(stage.step), engine::CheckOutcome::kNotDue) << "it may write its files";
}

}  // namespace
}  // namespace aeterna::postgres
