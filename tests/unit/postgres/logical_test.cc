// Logical backups and restores, the pure parts: programs and their words, URLs, details, the list of an archive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "../support/fake_env.h"
#include "postgres/capture/logical_backup.h"
#include "postgres/client/programs.h"
#include "postgres/client/server_url.h"
#include "postgres/restore/archive_list.h"
#include "postgres/restore/load_plan.h"

namespace aeterna::postgres {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

// ------------------------------------------------------------------------------------------------ programs

TEST(ClientPrograms, VersionsAreRead) {
    EXPECT_EQ(parse_program_major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), 15);
    EXPECT_EQ(parse_program_major("pg_restore (PostgreSQL) 17beta1"), 17);
    EXPECT_FALSE(parse_program_major("pg_dump"));
    EXPECT_FALSE(parse_program_major("pg_dump (PostgreSQL) next"));
    EXPECT_EQ(parse_server_major("16.2"), 16);
    EXPECT_FALSE(parse_server_major(""));
}

// Programs that are there, and what the one in PATH says of itself.
class SomePrograms final : public aeterna::testing::FakeProcesses {
  public:
    std::vector<std::string> there;
    std::string version;

    std::optional<std::string> find_program(const std::string& name, const std::vector<std::string>&) override {
        if (std::find(there.begin(), there.end(), name) == there.end()) return std::nullopt;
        return name.front() == '/' ? name : "/usr/bin/" + name;
    }
    Result<env::RunResult> run(const env::RunOptions&, const env::Context&) override {
        env::RunResult result;
        result.exit_status = 0;
        result.output = version;
        return result;
    }
};

TEST(ClientPrograms, NoneIsOlderThanTheServer) {
    SomePrograms programs;
    const auto find = [&] { return find_client_program(programs, "pg_dump", 16, {MonoTime::max(), {}, ""}); };
    EXPECT_THAT(find().error().message, HasSubstr("no 'pg_dump'"));
    programs.there = {"pg_dump", "/usr/lib/postgresql/15/bin/pg_dump"};
    programs.version = "pg_dump (PostgreSQL) 15.1";
    const auto old = find();
    ASSERT_FALSE(old);
    EXPECT_EQ(old.error().code, ErrorCode::kConfiguration);
    EXPECT_THAT(old.error().message, HasSubstr("is of PostgreSQL 15, older than 16"));
    EXPECT_THAT(old.error().hint, HasSubstr("postgresql-client-16"));
    programs.version = "pg_dump (PostgreSQL) 18.0";
    EXPECT_EQ(find()->path, "/usr/bin/pg_dump");
    programs.there.emplace_back("/usr/lib/postgresql/17/bin/pg_dump");
    programs.there.emplace_back("/usr/pgsql-18/bin/pg_dump");
    EXPECT_EQ(find()->path, "/usr/lib/postgresql/17/bin/pg_dump");
    EXPECT_EQ(find()->major, 17);
}

TEST(ClientPrograms, ThePasswordIsNoArgument) {
    env::SqlTarget target;
    target.endpoint = {"db.example", 5433};
    target.user = "o'hara";
    target.password = Secret("hush");
    target.database = "a=b' host=evil";
    const env::RunOptions run = client_run({"pg_dump"}, target);
    for (const std::string& word : run.argv) EXPECT_THAT(word, Not(HasSubstr("hush")));
    EXPECT_EQ(run.environment.at("PGPASSWORD"), "hush");
    EXPECT_EQ(run.argv.back().find("--dbname=host='db.example' port=5433 dbname='a=b\\' host=evil' sslmode='prefer'"), 0u)
        << run.argv.back();
    EXPECT_THAT(run.argv.back(), HasSubstr(" user='o\\'hara'"));
    EXPECT_GT(run.longest_silence, Duration{});
}

TEST(ClientPrograms, TheirLastErrorIsOneLine) {
    env::RunResult result;
    result.exit_status = 1;
    result.errors =
        "pg_dump: warning: there are circular keys\n"
        "pg_dump: error: query failed: ERROR:  permission denied for table t\n"
        "pg_dump: detail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE\n";
    EXPECT_EQ(judge_run("pg_dump", result).error().message,
              "pg_dump: query failed: ERROR:  permission denied for table t");
    result.errors = "what is this\n";
    EXPECT_EQ(judge_run("pg_dump", result).error().message, "pg_dump: what is this");
    result.errors.clear();
    EXPECT_EQ(judge_run("pg_dump", result).error().message, "pg_dump: it failed without a word");
    result.exit_status = -1;
    result.signal = 9;
    EXPECT_EQ(judge_run("pg_dump", result).error().message, "pg_dump was ended by signal 9");
    result.exit_status = 0;
    EXPECT_TRUE(judge_run("pg_dump", result));
}

// ------------------------------------------------------------------------------------------------ URLs

TEST(ServerUrl, IsReadStrictly) {
    const auto whole = parse_server_url("postgresql://o%27hara@[::1]:5433/my%2Fdata+base?sslmode=verify-full&sslrootcert=/ca");
    ASSERT_TRUE(whole) << whole.error().message;
    EXPECT_EQ(whole->user, "o'hara");
    EXPECT_EQ(whole->endpoint, (env::Endpoint{"::1", 5433}));
    EXPECT_EQ(whole->database, "my/data+base");
    EXPECT_EQ(whole->ssl_mode, "verify-full");
    EXPECT_EQ(whole->ssl_root_certificate, "/ca");
    const auto least = parse_server_url("postgres://db/aeterna");
    ASSERT_TRUE(least) << least.error().message;
    EXPECT_EQ(least->endpoint, (env::Endpoint{"db", 5432}));
    EXPECT_EQ(least->user, "");
    for (const char* text : {"postgresql://", "postgresql://db", "postgresql://db/", "postgresql:///x", "postgresql://db/a/b",
                             "postgresql://db:none/x", "postgresql://db/x?host=other", "mysql://db/x", "/var/lib"}) {
        const auto bad = parse_server_url(text);
        ASSERT_FALSE(bad) << text;
        EXPECT_EQ(bad.error().code, ErrorCode::kUsage) << text;
    }
    const auto secret = parse_server_url("postgresql://me:hush@db/x");
    ASSERT_FALSE(secret);
    EXPECT_THAT(secret.error().message, AllOf(HasSubstr("password"), Not(HasSubstr("hush"))));
}

// ------------------------------------------------------------------------------------------------ details, options

TEST(LogicalBackups, DetailsSurvive) {
    LogicalDetails details;
    details.system_identifier = "7";
    details.dump_major = 15;
    details.from_replica = details.has_passwords = true;
    details.databases = {{"a/b", "a%2Fb.dump", "UTF8", "C.UTF-8", "C.UTF-8", "i", "de"}};
    const auto read = read_logical_details(details_json(details));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->system_identifier, "7");
    EXPECT_EQ(read->dump_major, 15);
    EXPECT_TRUE(read->from_replica && read->has_passwords);
    EXPECT_EQ(read->databases, details.databases);
    EXPECT_EQ(read_logical_details(Json{{"dump_major", 15}}).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(read_logical_details(Json{{"dump_major", 0}, {"databases", Json::array()}}).error().code, ErrorCode::kCorrupt);
}

TEST(LogicalBackups, OptionsOfTheOtherKindAreRefused) {
    EXPECT_FALSE(*read_logical_options({{"logical", {}}, {"label", {"x"}}}));
    EXPECT_EQ(read_logical_options({{"database", {"a"}}}).error().code, ErrorCode::kUsage);
    EXPECT_THAT(read_logical_options({{"logical", {"1"}}, {"label", {"x"}}}).error().message, HasSubstr("--label"));
    const auto options = read_logical_options({{"logical", {"1"}}, {"database", {"a", "b"}}, {"label", {}}});
    ASSERT_TRUE(options && *options);
    EXPECT_THAT((*options)->databases, ElementsAre("a", "b"));
}

// ------------------------------------------------------------------------------------------------ the archive's list

// As pg_restore 15.18 writes it, shortened.
constexpr const char* kList =
    ";\n; Archive created at 2026-11-26 22:30:39 UTC\n;     dbname: a\n;\n"
    "3395; 0 0 ENCODING - ENCODING \n"
    "3398; 1262 16384 DATABASE - a postgres\n"
    "6; 2615 16385 SCHEMA - s postgres\n"
    "3500; 0 0 ACL - SCHEMA s postgres\n;\tdepends on: 6\n"
    "224; 1255 16413 FUNCTION s f() postgres\n;\tdepends on: 6\n"
    "220; 1259 16417 TABLE public part postgres\n"
    "221; 1259 16420 TABLE public part1 postgres\n;\tdepends on: 220\n"
    "217; 1259 16389 TABLE s cust postgres\n;\tdepends on: 6\n"
    "3399; 0 0 ACL s TABLE cust postgres\n;\tdepends on: 217\n"
    "215; 1259 16387 SEQUENCE s cust_id_seq postgres\n;\tdepends on: 6 217\n"
    "3400; 0 0 SEQUENCE OWNED BY s cust_id_seq postgres\n;\tdepends on: 215\n"
    "300; 1259 16600 SEQUENCE s shared postgres\n;\tdepends on: 6\n"
    "219; 1259 16400 TABLE s ord postgres\n;\tdepends on: 6\n"
    "222; 1259 16427 VIEW s v postgres\n;\tdepends on: 217 217 6\n"
    "3221; 0 0 TABLE ATTACH public part1 postgres\n;\tdepends on: 221 220\n"
    "3222; 2604 16392 DEFAULT s cust id postgres\n;\tdepends on: 215 217 217\n"
    "3223; 2604 16393 DEFAULT s ord n postgres\n;\tdepends on: 300 219\n"
    "3389; 0 16420 TABLE DATA public part1 postgres\n;\tdepends on: 221\n"
    "3386; 0 16389 TABLE DATA s cust postgres\n;\tdepends on: 217\n"
    "3388; 0 16400 TABLE DATA s ord postgres\n;\tdepends on: 219\n"
    "3402; 0 0 SEQUENCE SET s cust_id_seq postgres\n;\tdepends on: 215\n"
    "3226; 2606 16398 CONSTRAINT s cust cust_pkey postgres\n;\tdepends on: 217\n"
    "3230; 1259 16425 INDEX public part_k_idx postgres\n;\tdepends on: 220\n"
    "3231; 1259 16426 INDEX public part1_k_idx postgres\n;\tdepends on: 221 3230 221\n"
    "3227; 1259 16412 INDEX s ord_note postgres\n;\tdepends on: 219\n"
    "3405; 0 0 COMMENT s INDEX ord_note postgres\n;\tdepends on: 3227\n"
    "3232; 0 0 INDEX ATTACH public part1_k_idx postgres\n;\tdepends on: 3231 3230 221 220\n"
    "3235; 2620 16414 TRIGGER s cust tr postgres\n;\tdepends on: 224 217\n"
    "3234; 2606 16407 FK CONSTRAINT s ord ord_cust_fkey postgres\n;\tdepends on: 217 3226 219\n"
    "3382; 6104 16436 PUBLICATION - pub postgres\n"
    "3383; 6106 16437 PUBLICATION TABLE s pub cust postgres\n;\tdepends on: 3382 217\n";

ArchiveChoice choose(const ArchiveWish& wish) {
    const auto entries = parse_archive_list(kList);
    EXPECT_TRUE(entries) << entries.error().message;
    const auto choice = choose_entries(*entries, wish);
    EXPECT_TRUE(choice) << choice.error().message;
    return choice ? *choice : ArchiveChoice{};
}

TEST(ArchiveList, IsRead) {
    const auto entries = parse_archive_list(kList);
    ASSERT_TRUE(entries);
    EXPECT_EQ(entries->front(), (ArchiveEntry{3395, "ENCODING", "-", "ENCODING", {}}));
    EXPECT_THAT(*entries, Contains(ArchiveEntry{3234, "FK CONSTRAINT", "s", "ord ord_cust_fkey", {217, 3226, 219}}));
    EXPECT_THAT(*entries, Contains(ArchiveEntry{3386, "TABLE DATA", "s", "cust", {217}}));
    EXPECT_EQ(parse_archive_list("no list\n").error().code, ErrorCode::kProtocol);
    EXPECT_EQ(parse_archive_list("1; 2 3 TABLE\n").error().code, ErrorCode::kProtocol);
}

TEST(ArchiveList, ATableBringsAllThatIsItsOwn) {
    const ArchiveChoice cust = choose({{}, {"s.cust"}, false});
    EXPECT_THAT(cust.ids, ElementsAre(217, 3399, 215, 3400, 3222, 3386, 3402, 3226, 3235));
    EXPECT_THAT(cust.left_out, ElementsAre("FK CONSTRAINT s.ord ord_cust_fkey"));
    const ArchiveChoice ord = choose({{}, {"s.ord"}, false});
    EXPECT_THAT(ord.ids, ElementsAre(300, 219, 3223, 3388, 3227, 3405));
    const ArchiveChoice both = choose({{}, {"s.ord", "s.cust"}, false});
    EXPECT_THAT(both.ids, Contains(3234));
    EXPECT_TRUE(both.left_out.empty());
}

TEST(ArchiveList, WhereNothingIsTheSchemaComesAndCallersStay) {
    const ArchiveChoice cust = choose({{}, {"s.cust"}, true});
    EXPECT_THAT(cust.ids, IsSupersetOf({6, 3500, 217, 3386}));
    EXPECT_THAT(cust.ids, Not(Contains(224)));
    EXPECT_THAT(cust.ids, Not(Contains(3235)));
    EXPECT_THAT(cust.left_out, Contains("TRIGGER s.cust tr"));
}

TEST(ArchiveList, APartitionedTableBringsItsPartitions) {
    EXPECT_THAT(choose({{}, {"part"}, false}).ids, ElementsAre(220, 221, 3221, 3389, 3230, 3231, 3232));
    EXPECT_THAT(choose({{}, {"public.part1"}, false}).ids, ElementsAre(221, 3389, 3231));
}

TEST(ArchiveList, ASchemaBringsItself) {
    const ArchiveChoice schema = choose({{"s"}, {}, false});
    EXPECT_THAT(schema.ids, IsSupersetOf({6, 3500, 224, 217, 215, 300, 219, 222, 3386, 3226, 3235, 3234}));
    EXPECT_THAT(schema.ids, Not(Contains(220)));
    EXPECT_THAT(schema.ids, Not(Contains(3383)));
    EXPECT_THAT(schema.ids, Not(Contains(3398)));
    EXPECT_EQ(archive_list_text({6, 7}), "6;\n7;\n");
}

TEST(ArchiveList, WhatIsNotThereIsSaid) {
    const auto entries = parse_archive_list(kList);
    EXPECT_EQ(choose_entries(*entries, {{}, {"s.nothing"}, false}).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(choose_entries(*entries, {{}, {"cust"}, false}).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(choose_entries(*entries, {{"t"}, {}, false}).error().code, ErrorCode::kNotFound);
}

// ------------------------------------------------------------------------------------------------ plans

LogicalDetails two_databases() {
    LogicalDetails details;
    details.system_identifier = "7";
    details.dump_major = 15;
    details.databases = {{"a", "a.dump", "UTF8", "C", "C", "c", ""}, {"b", "b.dump", "UTF8", "C", "C", "c", ""}};
    return details;
}

TEST(Load, ADatabaseIsNamedOrObvious) {
    LogicalDetails details = two_databases();
    EXPECT_EQ(choose_database(details.databases, "b", "a")->name, "b");
    EXPECT_EQ(choose_database(details.databases, "", "a")->name, "a");
    EXPECT_EQ(choose_database(details.databases, "", "other").error().code, ErrorCode::kUsage);
    EXPECT_EQ(choose_database(details.databases, "c", "a").error().code, ErrorCode::kNotFound);
    details.databases.pop_back();
    EXPECT_EQ(choose_database(details.databases, "", "other")->name, "a");
}

TEST(Load, APointInTimeIsOfBaseBackups) {
    repository::Backup base, dump;
    base.store = dump.store = "postgres";
    base.kind = "base";
    base.name = dump.name = "main";
    base.id = "20260301T100000000Z-aaaaaaaa";
    dump.kind = "logical";
    dump.id = "20260302T100000000Z-bbbbbbbb";
    const auto means = [&](const std::string& to, const std::string& kind = "", bool has_dump = true) {
        LoadWish wish;
        wish.kind = kind;
        return means_base_backup(has_dump ? std::vector{base, dump} : std::vector{base}, wish, to, "");
    };
    EXPECT_TRUE(means("2026-03-01T12:00:00Z"));
    EXPECT_TRUE(means("lsn:0/3000148"));
    EXPECT_TRUE(means("20260301"));
    EXPECT_FALSE(means("20260302"));
    EXPECT_FALSE(means("latest")) << "the dump is there";
    EXPECT_TRUE(means("latest", "", false));
    EXPECT_TRUE(means("latest", "base"));
    EXPECT_FALSE(means("latest", "logical", false));
    EXPECT_FALSE(means("yesterday"));
}

TEST(Load, ReplicasAndOlderServersAreRefused) {
    const LogicalDetails details = two_databases();
    LoadTarget target{"1.2.3.4:5432", "a", 15, false, "8", false, 0};
    EXPECT_TRUE(check_load(details.dump_major, {}, target));
    target.in_recovery = true;
    EXPECT_EQ(check_load(details.dump_major, {}, target).error().code, ErrorCode::kGuardRefused);
    target.in_recovery = false;
    target.major = 14;
    EXPECT_EQ(check_load(details.dump_major, {}, target).error().code, ErrorCode::kGuardRefused);
    target.major = 17;
    LoadWish clean;
    clean.clean = true;
    EXPECT_EQ(check_load(details.dump_major, clean, target).error().code, ErrorCode::kUsage);
    target.exists = true;
    EXPECT_TRUE(check_load(details.dump_major, clean, target));
}

TEST(Load, OnlyWhatIsThereNeedsApproval) {
    const LogicalDetails details = two_databases();
    LoadTarget target{"1.2.3.4:5432", "a", 15, false, "7", false, 0};
    const auto plan = [&] { return describe_load({}, details, details.databases[0], {}, target, {}); };
    EXPECT_EQ(plan().approval, "");
    target.exists = true;
    EXPECT_THAT(plan().approval, HasSubstr("into the database 'a' at 1.2.3.4:5432"));
    EXPECT_TRUE(*find_boolean(*find_member(plan().document, "target"), "is_live"));
    target.system_identifier = "8";
    EXPECT_FALSE(*find_boolean(*find_member(plan().document, "target"), "is_live"));
    EXPECT_NE(plan().approval, "");
}

TEST(Load, WhatAnInterruptedOneLeftIsDroppedAndSaid) {
    const LogicalDetails details = two_databases();
    LoadTarget target{"1.2.3.4:5432", "a", 15, false, "7", false, 0};
    const auto says_so = [&] {
        const auto lines = describe_load({}, details, details.databases[0], {}, target, {}).lines;
        return std::any_of(lines.begin(), lines.end(), [](const std::string& line) { return line.starts_with("'being_restored_a'"); });
    };
    EXPECT_FALSE(says_so());
    target.leftover = "being_restored_a";
    EXPECT_TRUE(says_so());
}

TEST(Load, NothingIsHalfDone) {
    LoadWish wish;
    EXPECT_THAT(load_command("pg_restore", wish, false, ""), IsSupersetOf(std::vector<std::string>{"--exit-on-error", "--single-transaction"}));
    EXPECT_THAT(load_command("pg_restore", wish, true, ""),
                ElementsAre("pg_restore", "--format=custom", "--exit-on-error"));
    wish.clean = wish.no_owner = true;
    EXPECT_THAT(load_command("pg_restore", wish, false, "/tmp/list"),
                IsSupersetOf(std::vector<std::string>{"--clean", "--if-exists", "--no-owner", "--no-privileges", "--use-list=/tmp/list"}));
}

TEST(Load, ANewDatabaseIsLikeTheOldOne) {
    DumpedDatabase like{"a", "a.dump", "UTF8", "de_DE.UTF-8", "C", "c", ""};
    EXPECT_EQ(create_database(like, "we\"ird", 15),
              "CREATE DATABASE \"we\"\"ird\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'de_DE.UTF-8' LC_CTYPE 'C' "
              "LOCALE_PROVIDER libc");
    EXPECT_THAT(create_database(like, "a", 14), Not(HasSubstr("PROVIDER")));
    like.provider = "i";
    like.locale = "de'x";
    EXPECT_THAT(create_database(like, "a", 15), HasSubstr("LOCALE_PROVIDER icu ICU_LOCALE 'de''x'"));
}

}  // namespace
}  // namespace aeterna::postgres
