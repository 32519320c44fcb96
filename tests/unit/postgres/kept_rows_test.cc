// Rows of a drill in WAL, as PostgreSQL 15.18 wrote it.
#include "postgres/workload/kept_rows.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/strings.h"
#include "postgres/capture/wal_logs.h"
#include "postgres/client/crc32c.h"
#include "postgres/client/wal.h"
#include "repository/log_segments.h"
#include "rig.h"

namespace aeterna::postgres {
namespace {

namespace rig = repository::testing;

// After a checkpoint, into a page that has row 1 already: row 2 (with the page's image), a row of the second path, row 4 of
// another drill, row 5 that is rolled back, row 6 that stays open, row 7.
constexpr Lsn kBegin = 0x15266C8;
constexpr const char* kWal =
    "1gAAANcCAABQZlIBAAAAAAAKAAAexYfZABAAAKAAIAADfwYAAAUAAAABQAAAAAAAAP8DAAAAADhlUgEAAAAAIACAHwAgBCAAAAAAwJ+AAICfgA"
    "DXAgAAAAAAAAAAAAAAAAAAAgADAAIIGAAxcTEtMjAyNjAzMDEtMTIwMDAwLTFhMmICAAAAAAAAACNvt2Y5BAMA1gIAAAAAAAAAAAAAAAAAAAEA"
    "AwACCBgAMXExLTIwMjYwMzAxLTEyMDAwMC0xYTJiAQAAAAAAAAD+T7VmOQQDAAIAAAAAtQAAANcCAADIZlIBAAAAAAALAADd/sOHABAAAIAAIA"
    "ADfwYAAAUAAAAHQAAAAQAAAP8CAAAAAPBlUgEAAAAAIACgH/AfBCAAAAAAyJ9QAKCfUAAAAAAAAgAoQDFxMS0yMDI2MDMwMS0xMjAwMDAtMWEy"
    "YgIAAAAAAAAAAAAAAAEAKEAxcTEtMjAyNjAzMDEtMTIwMDAwLTFhMmIBAAAAAAAAAAAAAAAAAAAAAAAAAAMAAAACAAAAACIAAADXAgAAoGdSAQ"
    "AAAAAAAQAAN8fm4P8Inm+3ZjkEAwAAAAAAAABfAAAA2AIAAFhoUgEAAAAAAAoAANIXxrwAIC4AfwYAAAUAAAABQAAAAAAAAP8DAwACCBgAMXEx"
    "LTIwMjYwMzAxLTEyMDAwMC0xYTJiAwAAAAABAACkqbdmOQQDAAMAAABYAAAA2AIAAIBoUgEAAAAAAAsAAHBTj34AICgAfwYAAAUAAAAHQAAAAQ"
    "AAAP8CAAAAAAMAKEAxcTEtMjAyNjAzMDEtMTIwMDAwLTFhMmIDAAAAAAEAAAMAIgAAANgCAADgaFIBAAAAAAABAADdCWpz/wjBqbdmOQQDAAAA"
    "AAAAAGcAAADZAgAAOGlSAQAAAAAACgAAMAtggAAgNgB/BgAABQAAAAFAAAAAAAAA/wMDAAIIGAA1b3RoZXItZHJpbGwtMDAtMDAwMDAtMDAwMA"
    "AAAAAAAAQAAAAAAAAAi8S3ZjkEAwAEAAAAYAAAANkCAABgaVIBAAAAAAALAAAxkSOjACAwAH8GAAAFAAAAB0AAAAEAAAD/AgAAAAAEADBANW90"
    "aGVyLWRyaWxsLTAwLTAwMDAwLTAwMDAAAAAAAAAEAAAAAAAAAAEAIgAAANkCAADIaVIBAAAAAAABAAAMIupE/wixxLdmOQQDAAAAAAAAAF8AAA"
    "DaAgAAKGpSAQAAAAAACgAA38podgAgLgB/BgAABQAAAAFAAAAAAAAA/wMDAAIIGAAxcTEtMjAyNjAzMDEtMTIwMDAwLTFhMmIFAAAAAAAAAL/U"
    "uGY5BAMABQAAAFgAAADaAgAAUGpSAQAAAAAACwAAtDCWcwAgKAB/BgAABQAAAAdAAAABAAAA/wIAAAAABQAoQDFxMS0yMDI2MDMwMS0xMjAwMD"
    "AtMWEyYgUAAAAAAAAABAAiAAAA2gIAALBqUgEAAAAAIAEAAPujdd7/CBHVuGY5BAMAAAAAAAAAXwAAANsCAAAIa1IBAAAAAAAKAABoi6U/ACAu"
    "AH8GAAAFAAAAAUAAAAAAAAD/AwMAAggYADFxMS0yMDI2MDMwMS0xMjAwMDAtMWEyYgYAAAAAAAAATNW4ZjkEAwAGAAAAWAAAANsCAAAwa1IBAA"
    "AAAAALAACjIrX4ACAoAH8GAAAFAAAAB0AAAAEAAAD/AgAAAAAGAChAMXExLTIwMjYwMzAxLTEyMDAwMC0xYTJiBgAAAAAAAAAFAF8AAADcAgAA"
    "kGtSAQAAAAAACgAA494+EAAgLgB/BgAABQAAAAFAAAAAAAAA/wMDAAIIGAAxcTEtMjAyNjAzMDEtMTIwMDAwLTFhMmIHAAAAAAAAALT5uGY5BA"
    "MABwAAAFgAAADcAgAA6GtSAQAAAAAACwAALO0bUwAgKAB/BgAABQAAAAdAAAABAAAA/wIAAAAABwAoQDFxMS0yMDI2MDMwMS0xMjAwMDAtMWEy"
    "YgcAAAAAAAAABgAiAAAA3AIAAEhsUgEAAAAAAAEAANaibzv/CBL6uGY5BAMAAAAAAAAA";
constexpr const char* kDrill = "q1-20260301-120000-1a2b";
constexpr std::uint64_t kThree = std::uint64_t{1} << 40 | 3;
const std::vector<std::uint64_t> kWanted = {1, 2, 4, 5, 6, 7, 8, kThree};

std::string wal() { return *base64_decode(kWal); }

std::vector<std::uint64_t> committed(const std::string& bytes, std::size_t step) {
    KeptRows rows(kDrill, kWanted);
    WalRecordReader records(kBegin, kDefaultSegmentBytes, KeptRows::kRecordBytes);
    const auto see = [&](const WalRecord& record) {
        rows.see(record);
        return true;
    };
    for (std::size_t at = 0; at < bytes.size(); at += step) EXPECT_TRUE(records.add(std::string_view(bytes).substr(at, step), see));
    EXPECT_FALSE(rows.has_unreadable());
    return rows.committed();
}

TEST(KeptRows, AreThoseWhoseTransactionCommitted) {
    const std::vector<std::uint64_t> expected{2, 7, kThree};
    EXPECT_EQ(committed(wal(), 10'000), expected);
    EXPECT_EQ(committed(wal(), 13), expected);
    // Without its commit, the last 40 bytes, 7 is not there.
    EXPECT_EQ(committed(wal().substr(0, wal().size() - 40), 10'000), (std::vector<std::uint64_t>{2, kThree}));
}

// Its checksum again (xloginsert.c, XLogRecordAssemble): of what is behind the header, then of the header without it.
void sign_first_record(std::string& bytes) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    const std::string_view record = std::string_view(bytes).substr(0, length);
    const std::uint32_t crc = crc32c(crc32c(0, record.substr(24)), record.substr(0, 20));
    std::memcpy(bytes.data() + 20, &crc, sizeof crc);
}

TEST(KeptRows, ACompressedPageCannotBeRead) {
    std::string bytes = wal();
    bytes[24 + 4 + 4] |= 0x04;  // bimg_info of the first record: BKPIMAGE_COMPRESS_PGLZ
    sign_first_record(bytes);
    KeptRows rows(kDrill, kWanted);
    WalRecordReader records(kBegin, kDefaultSegmentBytes, KeptRows::kRecordBytes);
    ASSERT_TRUE(records.add(bytes, [&](const WalRecord& record) {
        rows.see(record);
        return true;
    }));
    EXPECT_TRUE(rows.has_unreadable());
    EXPECT_EQ(rows.committed(), (std::vector<std::uint64_t>{7, kThree}));
}

class FindKeptRows : public ::testing::Test {
  protected:
    // Timeline 2 went on where the WAL begins; what is behind lies on a dead branch.
    void capture(const std::string& bytes) {
        const std::string old = wal_log_name({"77", 1}), young = wal_log_name({"77", 2});
        const auto log = repository::LogWriter::open(*repository_, old, rig::forever()).value();
        ASSERT_TRUE(log->append(kBegin - 8, repository::bytes_of("8 before" + bytes), rig::forever()));
        ASSERT_TRUE(put_timeline_history(*repository_, {"77", 2}, "1\t" + format_lsn(kBegin) + "\tr\n", rig::forever()));
        ASSERT_TRUE(repository::LogWriter::open(*repository_, young, rig::forever()).value()->append(
            kBegin, repository::bytes_of("another history"), rig::forever()));
    }
    auto find(const std::vector<std::uint64_t>& wanted, Timeline timeline = 2) {
        const SourceView primary{"a", true, "77", timeline, 0, kDefaultSegmentBytes};
        return find_kept_rows(*repository_, primary, kDrill, wanted, rig::forever()).value();
    }

    rig::Rig rig_;
    std::unique_ptr<repository::Repository> repository_ = rig_.open();
};

TEST_F(FindKeptRows, OnTheDeadBranchOfALog) {
    EXPECT_EQ(find(kWanted, 1), (std::vector<std::uint64_t>{})) << "nothing was captured";
    capture(wal());
    EXPECT_EQ(find(kWanted), (std::vector<std::uint64_t>{2, 7, kThree}));
}

TEST_F(FindKeptRows, DamageMakesItUnknownUnlessAllWereFound) {
    std::string bytes = wal();
    bytes[bytes.size() - 40 + 8] ^= 1;  // the last record names another one before it
    capture(bytes);
    EXPECT_FALSE(find(kWanted));
    EXPECT_EQ(find({2, kThree}), (std::vector<std::uint64_t>{2, kThree}));
}

TEST_F(FindKeptRows, UnknownWhileTheForkIsNotCaptured) {
    EXPECT_FALSE(find(kWanted)) << "what timeline 2 left behind is not known yet";
    capture(wal());
    EXPECT_FALSE(find(kWanted, 3));
    EXPECT_EQ(find({2, kThree}, 3), (std::vector<std::uint64_t>{2, kThree}));
}

TEST_F(FindKeptRows, UnknownBehindAHole) {
    capture(wal().substr(0, wal().size() - 40));  // without a commit
    EXPECT_TRUE(find(kWanted));
    const auto log = repository::LogWriter::open(*repository_, wal_log_name({"77", 1}), rig::forever()).value();
    ASSERT_TRUE(log->append(*log->end() + 100, repository::bytes_of("behind a hole"), rig::forever()));
    EXPECT_FALSE(find(kWanted));
}

}  // namespace
}  // namespace aeterna::postgres
