// Names and headers of WAL segments. The header bytes are those of a PostgreSQL 15 segment.
#include "postgres/client/wal.h"

#include <gtest/gtest.h>

namespace aeterna::postgres {
namespace {

using namespace std::string_view_literals;

TEST(Wal, NamesOfSegments) {
    const auto name = parse_wal_segment_name("0000000A00000001000000FE");
    ASSERT_TRUE(name);
    EXPECT_EQ(name->timeline, 10U);
    EXPECT_EQ(name->begin_lsn(16 << 20), 0x1FE000000U);
    EXPECT_EQ(parse_wal_segment_name("000000010000000000000003")->begin_lsn(64 << 20), 0xC000000U);
    for (const char* other : {"", "00000002.history", "000000010000000000000003.partial", "archive_status",
                              "00000001000000000000000g", "000000000000000000000001"}) {
        EXPECT_FALSE(parse_wal_segment_name(other)) << other;
    }
}

constexpr std::string_view kHeader =
    "\x10\xD1\x02\x00\x01\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x88\x77\x66\x55\x44\x33\x22\x11\x00\x00\x00\x01\x00\x20\x00\x00"sv;

TEST(Wal, HeadersOfSegments) {
    ASSERT_EQ(kHeader.size(), 40U);
    const auto header = parse_wal_segment_header(kHeader);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->timeline, 1U);
    EXPECT_EQ(header->page_lsn, 0x3000000U);
    EXPECT_EQ(header->system_identifier, 0x1122334455667788U);
    EXPECT_EQ(header->segment_bytes, 16U << 20);
}

TEST(Wal, WhatIsNoHeader) {
    EXPECT_FALSE(parse_wal_segment_header(kHeader.substr(0, 39)));
    EXPECT_FALSE(parse_wal_segment_header(std::string(40, '\0'))) << "a new file full of zeros";
    std::string other(kHeader);
    other[2] = 0;
    EXPECT_FALSE(parse_wal_segment_header(other)) << "an inner page";
    other = kHeader;
    other[33] = 3;
    EXPECT_FALSE(parse_wal_segment_header(other)) << "no power of two";
}

TEST(Wal, Positions) {
    EXPECT_EQ(format_lsn(0), "0/0");
    EXPECT_EQ(format_lsn(0x1FE000148U), "1/FE000148");
}

}  // namespace
}  // namespace aeterna::postgres
