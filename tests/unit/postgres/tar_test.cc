// The tar reader: archives as PostgreSQL writes them, in pieces of any size, and bent ones.
#include <gtest/gtest.h>

#include <cstring>

#include "postgres/capture/tar_reader.h"

namespace aeterna::postgres {
namespace {

std::string octal(std::uint64_t value, int digits) {
    std::string text(static_cast<std::size_t>(digits), '0');
    for (int at = digits - 1; at >= 0; --at, value >>= 3)
        text[static_cast<std::size_t>(at)] = static_cast<char>('0' + (value & 7));
    return text + '\0';
}

void seal(std::string& block) {
    block.replace(148, 8, 8, ' ');
    std::uint64_t sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    block.replace(148, 7, octal(sum, 6));
}

std::string header(const std::string& name, char type, std::uint64_t bytes, const std::string& target = "",
                   const std::string& prefix = "") {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    block.replace(100, 8, octal(0600, 7));
    block.replace(108, 8, octal(26, 7));
    block.replace(116, 8, octal(27, 7));
    if (bytes < (1ULL << 33)) {
        block.replace(124, 12, octal(bytes, 11));
    } else {
        block[124] = static_cast<char>(0x80);
        for (int i = 0; i < 8; ++i) block[static_cast<std::size_t>(135 - i)] = static_cast<char>(bytes >> (8 * i));
    }
    block.replace(136, 12, octal(1'700'000'000, 11));
    block[156] = type;
    block.replace(157, target.size(), target);
    block.replace(257, 8,
                  std::string("ustar\0"
                              "00",
                              8));
    block.replace(345, prefix.size(), prefix);
    seal(block);
    return block;
}

std::string padded(std::string content) {
    content.resize((content.size() + 511) / 512 * 512, '\0');
    return content;
}

const std::string kEnd(1024, '\0');

class Seen final : public TarSink {
  public:
    Status begin(const TarEntry& entry) override {
        entries.push_back(entry);
        contents.emplace_back();
        return {};
    }
    Status content(std::string_view bytes) override {
        contents.back().append(bytes);
        return {};
    }
    Status end_file() override {
        ++ended;
        return {};
    }
    std::vector<TarEntry> entries;
    std::vector<std::string> contents;
    int ended = 0;
};

Status read(const std::string& archive, std::size_t piece, Seen& seen) {
    TarReader reader(seen);
    for (std::size_t at = 0; at < archive.size(); at += piece) {
        AETERNA_TRY(reader.feed(std::string_view(archive).substr(at, piece)));
    }
    return reader.finish();
}

std::string sample() {
    const std::string long_name = "base/" + std::string(200, 'x');
    return header("base/", '5', 0) + header("base/1", '0', 700) + padded(std::string(700, 'a')) +
           header("empty", '0', 0) + header("pg_tblspc/16384", '2', 0, "/srv/space") +
           header("name", '0', 3, "", "a/prefix") + padded("abc") + header("././@LongLink", 'L', long_name.size() + 1) +
           padded(long_name + '\0') + header("cut", '0', 512) + padded(std::string(512, 'b')) + kEnd;
}

TEST(Tar, GivesEveryEntryWhateverThePieces) {
    const std::string archive = sample();
    for (const std::size_t piece : {1UL, 7UL, 511UL, 512UL, 513UL, 4096UL, archive.size()}) {
        Seen seen;
        const Status done = read(archive, piece, seen);
        ASSERT_TRUE(done) << done.error().to_string() << " in pieces of " << piece;
        ASSERT_EQ(seen.entries.size(), 6u);
        EXPECT_EQ(seen.entries[0].type, TarEntry::Type::kDirectory);
        EXPECT_EQ(seen.entries[0].path, "base");
        EXPECT_EQ(seen.contents[1], std::string(700, 'a'));
        EXPECT_EQ(seen.entries[1].mode, 0600u);
        EXPECT_EQ(seen.entries[1].uid, 26u);
        EXPECT_EQ(seen.entries[1].modified_at, 1'700'000'000);
        EXPECT_EQ(seen.entries[3].target, "/srv/space");
        EXPECT_EQ(seen.entries[4].path, "a/prefix/name");
        EXPECT_EQ(seen.entries[5].path, "base/" + std::string(200, 'x'));
        EXPECT_EQ(seen.ended, 4);
    }
}

TEST(Tar, ReadsSizesInBase256) {
    Seen seen;
    TarReader reader(seen);
    ASSERT_TRUE(reader.feed(header("large", '0', 9ULL << 30)));
    EXPECT_EQ(seen.entries.front().bytes, 9ULL << 30);
    EXPECT_FALSE(reader.finish());
}

TEST(Tar, RefusesWhatIsCutOffAnywhere) {
    const std::string archive = sample();
    for (std::size_t length = 0; length < archive.size() - 1; length += 37) {
        Seen seen;
        EXPECT_FALSE(read(archive.substr(0, length), 4096, seen)) << length;
    }
}

TEST(Tar, RefusesABentHeader) {
    const std::string archive = sample();
    for (std::size_t at = 0; at < 512; ++at) {
        std::string bent = archive;
        bent[at] = static_cast<char>(bent[at] ^ 1);
        Seen seen;
        EXPECT_EQ(read(bent, 4096, seen).error().code, ErrorCode::kProtocol) << at;
    }
}

TEST(Tar, RefusesWhatPostgresNeverSends) {
    std::string negative = header("x", '0', 0);
    negative[124] = static_cast<char>(0xff);
    seal(negative);
    std::string huge = header("x", '0', 9ULL << 30);
    std::memset(huge.data() + 125, 0xff, 11);
    seal(huge);
    for (const std::string& block : {header("hard", '1', 0, "x"), header("device", '3', 0), header("x", 'L', 1 << 20),
                                     header("", '0', 0), negative, huge, std::string(512, 'x')}) {
        Seen seen;
        const Status done = read(block + kEnd, 512, seen);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::kProtocol);
    }
    Seen seen;
    EXPECT_FALSE(read(kEnd + header("late", '0', 0) + kEnd, 512, seen));
}

TEST(Tar, ASinksErrorIsPassedOn) {
    class Full final : public TarSink {
      public:
        Status begin(const TarEntry&) override { return make_error(ErrorCode::kNoSpace, "full"); }
        Status content(std::string_view) override { return {}; }
        Status end_file() override { return {}; }
    } full;
    TarReader reader(full);
    EXPECT_EQ(reader.feed(sample()).error().code, ErrorCode::kNoSpace);
}

}  // namespace
}  // namespace aeterna::postgres
