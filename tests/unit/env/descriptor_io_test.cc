#include "env/posix/descriptor_io.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "env/posix/errors.h"
#include "real_env.h"

namespace aeterna::env::testing {
namespace {

// While it lives no file grows beyond `bytes`: a write across the limit does a part, the next one fails (setrlimit(2)).
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
        const rlimit lower{bytes, before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &lower), 0);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

  private:
    void (*handler_)(int);
    rlimit before_{};
};

class DescriptorIoTest : public ::testing::Test {
  protected:
    [[nodiscard]] Descriptor open(int more = 0) const {
        return Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | more, 0600));
    }

    Directory directory_;
    const std::string path_ = directory_.file("file");
};

TEST_F(DescriptorIoTest, WritesAndReadsAtAPlace) {
    const Descriptor file = open();
    ASSERT_TRUE(write_fully(file.get(), 4, std::string_view("5678"), path_));
    ASSERT_TRUE(write_fully(file.get(), 0, std::string_view("1234"), path_));
    std::string into(8, '?');
    EXPECT_EQ(read_fully(file.get(), 0, into, path_).value(), 8U);
    EXPECT_EQ(into, "12345678");
    EXPECT_EQ(read_fully(file.get(), 6, into, path_).value(), 2U) << "the file ends";
    EXPECT_EQ(into.substr(0, 2), "78");
    EXPECT_EQ(read_fully(file.get(), 8, into, path_).value(), 0U);
}

TEST_F(DescriptorIoTest, ReadsOnAfterAShortRead) {
    // The kernel hands out such files in pieces, whatever the buffer takes.
    const std::string maps = "/proc/self/maps";
    const Descriptor file(::open(maps.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file.is_open());
    std::string piece(1 << 20, '\0'), whole(1 << 20, '\0');
    const ssize_t one = ::pread(file.get(), piece.data(), piece.size(), 0);
    ASSERT_GT(one, 0);
    const auto all = read_fully(file.get(), 0, whole, maps);
    ASSERT_TRUE(all);
    EXPECT_GT(*all, static_cast<std::size_t>(one));
    const auto text = read_to_end(file.get(), whole.size(), maps);
    ASSERT_TRUE(text);
    EXPECT_GT(text->size(), static_cast<std::size_t>(one));
}

TEST_F(DescriptorIoTest, ReadsToTheEndWithinTheLimit) {
    const Descriptor file = open();
    ASSERT_TRUE(write_fully(file.get(), 0, std::string(200'000, 'x'), path_));
    EXPECT_EQ(read_to_end(file.get(), 200'000, path_).value().size(), 200'000U);
    ASSERT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
    EXPECT_EQ(read_to_end(file.get(), 199'999, path_).error().code, ErrorCode::kIo);
}

TEST_F(DescriptorIoTest, AnUnfinishedWriteIsAnError) {
    const std::string bytes(100, 'x');
    const Descriptor file = open(), log = open(O_APPEND);
    const FileSizeLimit limit(60);
    const Status written = write_fully(file.get(), 0, bytes, path_);
    ASSERT_FALSE(written) << "60 of 100 bytes are not all";
    EXPECT_NE(written.error().message.find(path_), std::string::npos);
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), 60);
    ASSERT_EQ(::ftruncate(file.get(), 0), 0);
    EXPECT_FALSE(append_fully(log.get(), bytes, path_));
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), 60);
}

TEST_F(DescriptorIoTest, AppendsWhereTheFileEnds) {
    const Descriptor file = open(O_APPEND);
    ASSERT_TRUE(append_fully(file.get(), "one ", path_));
    ASSERT_TRUE(append_fully(file.get(), "two", path_));
    EXPECT_EQ(real().files.read(path_).value(), "one two");
}

TEST_F(DescriptorIoTest, NamesThePathOfWhatFailed) {
    const Descriptor reader(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Descriptor writer(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    std::string into(1, ' ');
    EXPECT_EQ(write_fully(reader.get(), 0, into, "a/b").error().message, "write 'a/b': Bad file descriptor");
    EXPECT_EQ(append_fully(reader.get(), into, "a/b").error().message, "write 'a/b': Bad file descriptor");
    EXPECT_EQ(read_fully(writer.get(), 0, into, "a/b").error().message, "read 'a/b': Bad file descriptor");
    EXPECT_EQ(read_to_end(writer.get(), 1, "a/b").error().message, "read 'a/b': Bad file descriptor");
}

}  // namespace
}  // namespace aeterna::env::testing
