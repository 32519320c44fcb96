// Where a lab may lie.
#include "lab/place.h"

#include <gtest/gtest.h>

#include "unit/support/fake_env.h"

namespace aeterna::lab {
namespace {

struct Unfit final : aeterna::testing::FakeFiles {
    bool is_there = false;
    bool exists(const std::string&) override { return is_there; }
    Result<env::Owner> owner(const std::string&) override { return env::Owner{1000, 1000}; }
    Status make_directories(const std::string&, int) override { return make_error(ErrorCode::kIo, "no such place"); }
    Result<std::vector<std::string>> list(const std::string&) override {
        return make_error(ErrorCode::kIo, "not a directory");
    }
};

// On a file, or where nothing can be made (/proc): what to do is said, and nothing is put up around it.
TEST(ClaimDirectory, TellsWhatToDoWhereNoLabCanLie) {
    aeterna::testing::FakeEnv fake;
    Unfit files;
    const env::Env env{fake.clock, fake.random, fake.threads, files,    fake.processes,
                       fake.dialer, fake.http,  fake.http_listener, fake.sql, fake.log};
    for (const bool is_file : {false, true}) {
        files.is_there = is_file;
        const Status claimed = claim_directory("/var/tmp/place", env);
        ASSERT_FALSE(claimed) << is_file;
        EXPECT_NE(claimed.error().hint.find("--dir"), std::string::npos);
    }
}

}  // namespace
}  // namespace aeterna::lab
