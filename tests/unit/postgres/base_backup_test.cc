// The pure parts of a base backup: manifest, checksums, messages, the choice of the node, details; and of its restore.
#include "postgres/capture/base_backup.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "postgres/capture/backup_manifest.h"
#include "postgres/capture/source.h"
#include "postgres/client/crc32c.h"
#include "postgres/client/wal.h"
#include "postgres/restore/plan.h"

namespace aeterna::postgres {
namespace {

std::string sealed(const std::string& text) {
    return text + "\"Manifest-Checksum\": \"" + to_hex(sha256_of(text)) + "\"}\n";
}

// As PostgreSQL 15 writes it.
std::string manifest_text() {
    return "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
           "{ \"Path\": \"base/5/1\", \"Size\": 5, \"Last-Modified\": \"2026-11-26 18:31:31 GMT\", "
           "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"" +
           to_hex([] {
               FileChecksum sum(ChecksumKind::kCrc32c);
               sum.add("hello");
               return sum.take();
           }()) +
           "\" },\n"
           "{ \"Encoded-Path\": \"ff2f31\", \"Size\": 0, \"Last-Modified\": \"2026-11-26 18:31:31 GMT\", "
           "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"00000000\" }\n],\n"
           "\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n";
}

ReceivedFiles received() {
    ReceivedFiles files;
    FileChecksum sum(ChecksumKind::kCrc32c);
    sum.add("he");
    sum.add("llo");
    files.add("base/5/1", 5, sum.take());
    files.add("\xff/1", 0, sum.take());
    files.add("pg_wal/000000010000000000000002", 16 << 20, "any");
    return files;
}

TEST(BackupManifest, HoldsWhatCameAgainstIt) {
    auto files = received();
    const auto ranges = files.verify(sealed(manifest_text()));
    ASSERT_TRUE(ranges) << ranges.error().to_string();
    ASSERT_EQ(ranges->size(), 1u);
    EXPECT_EQ(ranges->front().to, 0x2000100u);
}

TEST(BackupManifest, NamesWhatDiffers) {
    auto missing = received();
    missing.add("base/5/2", 1, "");
    EXPECT_NE(missing.verify(sealed(manifest_text())).error().message.find("'base/5/2' came, but is not in"),
              std::string::npos);
    ReceivedFiles none;
    EXPECT_NE(none.verify(sealed(manifest_text())).error().message.find("'base/5/1' did not come"), std::string::npos);
    auto longer = received();
    longer.add("base/5/1", 6, "x");
    EXPECT_NE(longer.verify(sealed(manifest_text())).error().message.find("length"), std::string::npos);
    auto other = received();
    other.add("base/5/1", 5, "1234");
    EXPECT_NE(other.verify(sealed(manifest_text())).error().message.find("checksum"), std::string::npos);
}

TEST(BackupManifest, EveryBentByteIsNoticed) {
    const std::string text = sealed(manifest_text());
    for (std::size_t at = 0; at + 2 < text.size(); ++at) {  // the last brace and line end are outside the checksum
        std::string bent = text;
        bent[at] = static_cast<char>(bent[at] ^ 1);
        auto files = received();
        EXPECT_FALSE(files.verify(bent)) << at;
    }
    for (std::size_t length = 0; length + 2 < text.size(); ++length) {
        auto files = received();
        EXPECT_FALSE(files.verify(text.substr(0, length))) << length;
    }
}

TEST(BackupManifest, RefusesAnotherFormUnderAGoodChecksum) {
    const std::string good = manifest_text();
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        auto files = received();
        return files.verify(sealed(text));
    };
    ASSERT_TRUE(with("GMT", "GMT"));
    EXPECT_FALSE(with("Version\": 1", "Version\": 2"));
    EXPECT_FALSE(with("CRC32C", "SHA512"));
    EXPECT_FALSE(with("\"Size\": 5", "\"Size\": -5"));
    EXPECT_FALSE(with("\"Size\": 5, ", ""));
    EXPECT_FALSE(with("0/2000028", "0/3000028"));  // begins after its end
    EXPECT_FALSE(with("\"Timeline\": 1", "\"Timeline\": 0"));
    EXPECT_FALSE(with("ff2f31", "ff2f3"));
    EXPECT_FALSE(with("\"WAL-Ranges\": [", "\"WAL-Ranges\": [[[["));
    EXPECT_FALSE(with("\"Files\": [\n{", "\"Files\": [\nnull, {"));
}

TEST(FileChecksum, HasThePublishedValues) {
    // RFC 3720, B.4, and FIPS 180-4's "abc".
    EXPECT_EQ(crc32c(0, "123456789"), 0xE3069283u);
    EXPECT_EQ(crc32c_plainly(0, std::string(32, '\0')), 0x8A9136AAu);
    EXPECT_EQ(to_hex(sha256_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    std::string bytes;
    for (int i = 0; i < 1000; ++i) bytes.push_back(static_cast<char>(i * 7));
    for (std::size_t length = 0; length < 40; ++length) {
        EXPECT_EQ(crc32c(crc32c(0, bytes.substr(0, length)), bytes.substr(length)), crc32c_plainly(0, bytes));
    }
    // Long enough for the lanes that the instruction sums at once, and for what is left of them.
    for (std::size_t i = 1000; i < 20'000; ++i) bytes.push_back(static_cast<char>(i * i / 13));
    for (const std::size_t length : {0, 1, 1023, 3071, 3072, 3073, 6144, 9999, 20'000}) {
        EXPECT_EQ(crc32c(7, bytes.substr(0, length)), crc32c_plainly(7, bytes.substr(0, length))) << length;
    }
}

TEST(BaseBackup, ItsCommandIsParenthesised) {
    BaseBackupOptions options;
    options.label = "it's";
    options.max_rate_kib = 1024;
    EXPECT_EQ(base_backup_command(options),
              "BASE_BACKUP (LABEL 'it''s', PROGRESS true, CHECKPOINT 'fast', WAL true, WAIT false, MANIFEST 'yes', "
              "MANIFEST_CHECKSUMS 'CRC32C', MAX_RATE 1024)");
    EXPECT_EQ(read_base_backup_options({{"max-rate", {"31"}}}).error().code, ErrorCode::kUsage);
    EXPECT_EQ(read_base_backup_options({{"max-rate", {"fast"}}}).error().code, ErrorCode::kUsage);
    EXPECT_EQ(read_base_backup_options({{"label", {"two\nlines"}}}).error().code, ErrorCode::kUsage);
    EXPECT_FALSE(read_base_backup_options({{"checkpoint", {"spread"}}})->fast_checkpoint);
}

TEST(BaseBackup, ReadsTheMessagesOfItsCopy) {
    using namespace std::string_literals;
    EXPECT_EQ(parse_base_backup_message("dabc")->data, "abc");
    const std::string kept = "n16384.tar\0/srv/space\0"s;
    EXPECT_EQ(parse_base_backup_message(kept)->archive, "16384.tar");
    EXPECT_EQ(parse_base_backup_message(kept)->location, "/srv/space");
    EXPECT_EQ(parse_base_backup_message("m")->kind, BaseBackupMessage::Kind::kManifest);
    for (const std::string& bad :
         {""s, "x"s, "m?"s, "p123"s, "nbase.tar"s, "nbase.tar\0"s, "nbase.tar\0/x"s, "nb\0/x\0y\0"s}) {
        EXPECT_FALSE(parse_base_backup_message(bad)) << to_hex(bad);
    }
}

SourceCandidate candidate(const std::string& node, bool in_recovery, const std::string& receiver, std::int64_t lsn) {
    SqlView view;
    view.in_recovery = in_recovery;
    view.receiver_status = receiver;
    view.lsn = lsn;
    return {node, view, ""};
}

TEST(BaseBackup, IsTakenFromTheReplicaThatIsFurthest) {
    const SourceCandidate dead{"d", {}, "connection refused"};
    const auto primary = candidate("p", false, "", 900), near = candidate("n", true, "streaming", 890),
               far = candidate("f", true, "streaming", 100), cut = candidate("c", true, "", 899);
    EXPECT_EQ(*choose_source({primary, far, near, cut, dead}, ""), "n");
    EXPECT_EQ(*choose_source({cut, primary, dead}, ""), "p");
    EXPECT_EQ(*choose_source({cut, dead}, ""), "c");
    EXPECT_EQ(*choose_source({primary, near, dead}, "d"), "d");
    EXPECT_EQ(choose_source({dead}, "").error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(choose_source({primary}, "x").error().code, ErrorCode::kUsage);
}

TEST(BaseBackup, ItsDetailsComeBack) {
    BaseBackupDetails details{"7521", 3, 0x2000028, 0x1'02000100, true, 2, {{16384, "/srv/a"}}, {}, {{"postgres-1", -2.5}}};
    const auto back = read_details(details_json(details));
    ASSERT_TRUE(back);
    EXPECT_EQ(details_json(*back), details_json(details));
    EXPECT_EQ(back->clocks_ahead, details.clocks_ahead);
    for (const char* key : {"timeline", "start_lsn", "stop_lsn", "tablespaces"}) {
        Json bad = details_json(details);
        bad[key] = "x";
        EXPECT_EQ(read_details(bad).error().code, ErrorCode::kCorrupt) << key;
    }
    EXPECT_FALSE(read_details(Json(nullptr)));
}

TEST(Wal, NamesSegmentsAndReadsPositions) {
    EXPECT_EQ(wal_segment_name(3, 0x1'02000100, 16 << 20), "000000030000000100000002");
    EXPECT_EQ(wal_segment_name(1, 0x1'C0000000, 1 << 30), "000000010000000100000003");
    EXPECT_EQ(parse_lsn("1/2000100"), 0x1'02000100u);
    for (const char* bad : {"", "/", "1/", "1/x", "123456789/0", "1/2/3"}) EXPECT_FALSE(parse_lsn(bad)) << bad;
    EXPECT_EQ(parse_segment_bytes("16MB"), 16u << 20);
    EXPECT_EQ(parse_segment_bytes("1GB"), 1u << 30);
    for (const char* bad : {"", "MB", "16kB", "0MB", "xMB"}) EXPECT_EQ(parse_segment_bytes(bad), 0u) << bad;
}

repository::Backup backup(const std::string& id, const std::string& name, const std::string& kind = "base") {
    repository::Backup made;
    made.id = id;
    made.name = name;
    made.kind = kind;
    made.store = kind == "base" ? "postgres" : "";
    return made;
}

TEST(Restore, ChoosesTheBackup) {
    const std::vector<repository::Backup> all = {backup("2026a", "one"), backup("2026b", "one"),
                                                 backup("2027", "etc", "files")};
    EXPECT_EQ(backups_of(all, "")->front().id, "2026b");
    EXPECT_EQ(backups_of(all, "")->size(), 2u);
    EXPECT_EQ(backups_of(all, "two").error().code, ErrorCode::kNotFound);
    EXPECT_EQ(choose_backup(all, "2026a", "")->id, "2026a");
    EXPECT_EQ(choose_backup(all, "2026", "").error().code, ErrorCode::kUsage);
    EXPECT_EQ(choose_backup(all, "2027", "").error().code, ErrorCode::kNotFound);
    auto two = all;
    two.push_back(backup("2028", "two"));
    EXPECT_EQ(backups_of(two, "").error().code, ErrorCode::kUsage);
    EXPECT_EQ(backups_of(two, "one")->front().id, "2026b");
}

TEST(Restore, PlacesTablespaces) {
    const std::vector<Tablespace> both = {{1, "/srv/a"}, {2, "/srv/b"}};
    EXPECT_EQ(place_tablespaces(both, {"2=/new/"}, "/data")->at("pg_tblspc/2"), "/new");
    EXPECT_EQ(place_tablespaces(both, {}, "/data")->at("pg_tblspc/1"), "/srv/a");
    for (const char* bad : {"3=/x", "1", "1=", "1=x", "1=/data/in", "1=/srv/b", "1=/srv/b/c", "1=/", "=/x"}) {
        EXPECT_EQ(place_tablespaces(both, {bad}, "/data").error().code, ErrorCode::kUsage) << bad;
    }
}

TEST(Restore, TheServerStandsAlone) {
    const std::string text = restored_auto_conf("work_mem = '8MB'\nprimary_conninfo = 'host=live'\nRestore_Command='x'\n"
        "recovery_target_time = 'y'\narchive_mode=always\nmax_logical_replication_workers = 9\n\n", "#hba_file = 'x'\nident_file='/live/pg_ident.conf'\n", R"(/it's\)",
        {"1", 16 << 20, {{"max_connections", 250}}}, Starter::kPeople, std::nullopt);
    EXPECT_EQ(text.find("host=live"), std::string::npos);
    EXPECT_EQ(text.find("'x'"), std::string::npos);
    EXPECT_EQ(text.find("'y'"), std::string::npos);
    EXPECT_EQ(text.find("always"), std::string::npos);
    EXPECT_EQ(text.rfind("work_mem = '8MB'\n# Written", 0), 0u);
    EXPECT_NE(text.find("archive_mode = 'off'\n"), std::string::npos);
    EXPECT_EQ(text.find("hba_file"), std::string::npos);
    EXPECT_NE(text.find(R"(ident_file = '/it''s\\/pg_ident.conf')"), std::string::npos);
    EXPECT_NE(text.find("synchronous_standby_names = ''\n"), std::string::npos);
    EXPECT_NE(text.find("restore_command = ''\n"), std::string::npos);
    EXPECT_NE(text.find("max_logical_replication_workers = 0\n"), std::string::npos) << "a subscription would take the live one's slot";
    EXPECT_EQ(text.find("workers = 9"), std::string::npos);
    EXPECT_NE(text.find("max_connections = 250\n"), std::string::npos);
    EXPECT_EQ(text.find("recovery_target"), std::string::npos);
}

TEST(Restore, TheServerReplaysUpToARecord) {
    const std::string text = restored_auto_conf("", "", "/data", {"1", 16 << 20, {}}, Starter::kPeople,
                                                Recovery{R"(x --repo '/50% it'\''s' get)", 3, 0x3000000, 0x30001A0, 0x3000148});
    const char* command = R"(restore_command = 'x --repo ''/50%% it''\\''''s'' get --from 0/3000000 --until 0/30001A0 %f %p')";
    EXPECT_NE(text.find(command), std::string::npos) << text;
    EXPECT_NE(text.find("recovery_target_inclusive = 'on'\nrecovery_target_lsn = '0/3000148'\n"), std::string::npos);
    EXPECT_NE(text.find("recovery_target_timeline = '3'\n"), std::string::npos);
    // postgresql.conf may have a target of its own, and two end the start.
    for (const char* other : {"recovery_target", "recovery_target_name", "recovery_target_time", "recovery_target_xid", "recovery_end_command",
                              "archive_cleanup_command"}) {
        EXPECT_NE(text.find(fmt::format("\n{} = ''\n", other)), std::string::npos) << other;
    }
    EXPECT_NE(text.find("recovery_min_apply_delay = 0\n"), std::string::npos);
    EXPECT_NE(text.find("recovery_target_inclusive = on\n"), std::string::npos) << "of a target that does not say it";
}

TEST(Restore, KnowsWhatIsLeftOfARecovery) {
    const std::string text = restored_auto_conf("work_mem = '8MB'\n", "", "/data", {"1", 16 << 20, {}},
                                                Starter::kPatroniBootstrap, Recovery{"x", 3, 0, 1, 1});
    std::string rest = text;
    for (const std::string& name : recovery_setting_names()) {
        const std::size_t begin = rest.find(name + " = ");
        ASSERT_NE(begin, std::string::npos) << name;
        rest.erase(begin, rest.find('\n', begin) - begin + 1);
    }
    EXPECT_EQ(rest, "work_mem = '8MB'\n# Written by aeterna-dr's restore.\n");
}

TEST(Restore, PatronisServersKeepPatronisSettings) {
    const ControlFile control{"1", 16 << 20, {{"max_connections", 250}}, {}};
    const char* old = "work_mem = '8MB'\nprimary_conninfo = 'host=live'\n";
    EXPECT_EQ(restored_auto_conf(old, "hba_file = '/x'\n", "/data", control, Starter::kPatroniReplica, std::nullopt), "work_mem = '8MB'\n");
    const std::string first = restored_auto_conf(old, "hba_file = '/x'\n", "/data", control, Starter::kPatroniBootstrap, Recovery{"x", 3, 0, 1, 1});
    EXPECT_EQ(first.find("archive_mode"), std::string::npos);
    EXPECT_EQ(first.find("hba_file"), std::string::npos);
    EXPECT_NE(first.find("recovery_target_timeline = '3'\n"), std::string::npos);
}

}  // namespace
}  // namespace aeterna::postgres
