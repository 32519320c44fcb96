#include "repository/storage/s3_location.h"

#include <gtest/gtest.h>

#include "unit/support/fake_env.h"

namespace aeterna::repository {
namespace {

using aeterna::testing::FakeEnv;

TEST(S3Location, ReadsEveryOption) {
    const auto read = parse_s3_location(
        "s3://my-bucket/dr/main/?endpoint=https://host:9000&region=eu-west-3&path-style=off&ca-file=/etc/ca.pem"
        "&client-certificate=/c&client-key=/k&encryption=aws:kms&kms-key=arn:aws:kms:x:1:key/2"
        "&object-lock=compliance:30d&conditional-writes=off&sign-payload=off&part-mib=16&parallel-parts=5&profile=b");
    ASSERT_TRUE(read) << read.error().to_string();
    const S3Options& options = read->options;
    EXPECT_EQ(options.endpoint.bucket, "my-bucket");
    EXPECT_EQ(options.prefix, "dr/main");
    EXPECT_EQ(options.endpoint.url, "https://host:9000");
    EXPECT_EQ(options.endpoint.region, "eu-west-3");
    EXPECT_TRUE(read->has_path_style);
    EXPECT_FALSE(options.endpoint.path_style);
    EXPECT_EQ(options.endpoint.tls.ca_file, "/etc/ca.pem");
    EXPECT_EQ(options.endpoint.tls.certificate_file, "/c");
    EXPECT_EQ(options.endpoint.tls.key_file, "/k");
    EXPECT_EQ(options.encryption, S3Encryption::kAwsKms);
    EXPECT_EQ(options.kms_key_id, "arn:aws:kms:x:1:key/2");
    ASSERT_TRUE(options.object_lock);
    EXPECT_TRUE(options.object_lock->is_compliance);
    EXPECT_EQ(options.object_lock->retention, 30 * 24h);
    EXPECT_FALSE(options.has_conditional_writes);
    EXPECT_FALSE(options.endpoint.sign_payload);
    EXPECT_EQ(options.part_bytes, 16U << 20);
    EXPECT_EQ(options.parallel_parts, 5);
    EXPECT_EQ(read->profile, "b");
}

TEST(S3Location, ABucketAloneIsEnough) {
    const auto read = parse_s3_location("s3://my-bucket");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->options.endpoint.bucket, "my-bucket");
    EXPECT_EQ(read->options.prefix, "");
    EXPECT_TRUE(read->options.has_conditional_writes);
}

TEST(S3Location, RefusesWhatItDoesNotKnow) {
    for (const char* text : {"", "/srv/repo", "s3:/b", "s3://", "s3:///x", "s3://b?", "s3://b?region", "s3://b?region=",
                             "s3://b?colour=red", "s3://b?region=a&region=b", "s3://b?path-style=maybe",
                             "s3://b?encryption=rot13", "s3://b?object-lock=30d", "s3://b?object-lock=governance:30",
                             "s3://b?part-mib=0", "s3://b?part-mib=x", "s3://b?parallel-parts=99",
                             "s3://key:secret@bucket/x"}) {
        const auto read = parse_s3_location(text);
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, ErrorCode::kUsage) << text;
        EXPECT_EQ(read.error().to_string().find("key:secret"), std::string::npos);
    }
}

TEST(S3Location, OpensWithWhatTheEnvironmentSays) {
    FakeEnv world;
    std::string url;
    world.http.handler = [&](const env::HttpRequest& request) -> Result<env::HttpResponse> {
        url = request.url;
        return env::HttpResponse{404, {}, ""};
    };
    world.files.environment["AWS_ACCESS_KEY_ID"] = "AKIA1";
    world.files.environment["AWS_SECRET_ACCESS_KEY"] = "secret";
    world.files.environment["AWS_REGION"] = "eu-west-1";
    const auto look = [&](const std::string& text) {
        auto opened = open_s3(world.env, text);
        EXPECT_TRUE(opened) << opened.error().to_string();
        EXPECT_FALSE(opened->storage->stat("config", world.clock.context()));
        return url;
    };
    EXPECT_EQ(look("s3://bucket/p"), "https://bucket.s3.eu-west-1.amazonaws.com/p/config");
    EXPECT_EQ(look("s3://bucket?region=us-west-2"), "https://bucket.s3.us-west-2.amazonaws.com/config");
    world.files.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:7070";
    EXPECT_EQ(look("s3://bucket/p"), "http://127.0.0.1:7070/bucket/p/config");
    EXPECT_EQ(look("s3://bucket/p?path-style=off"), "http://bucket.127.0.0.1:7070/p/config");
    EXPECT_EQ(look("s3://bucket/p?endpoint=https://h"), "https://h/bucket/p/config");
    EXPECT_EQ(open_s3(world.env, "s3://b").error().code, ErrorCode::kConfiguration) << "too short for a bucket";
}

}  // namespace
}  // namespace aeterna::repository
