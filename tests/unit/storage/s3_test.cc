// What the S3 driver says to the server, seen through a client that answers from the test.
#include "repository/storage/s3.h"

#include <gtest/gtest.h>

#include "unit/support/fake_env.h"

namespace aeterna::repository {
namespace {

using aeterna::testing::FakeEnv;

class Credentials final : public CredentialSource {
  public:
    S3Credentials given{"AKIA1", Secret("top-secret"), Secret(), std::nullopt};
    int forgotten = 0;
    Result<S3Credentials> get(const env::Context&) override { return given; }
    void forget() override { ++forgotten; }
};

class S3Test : public ::testing::Test {
  protected:
    S3Test() {
        options.endpoint.bucket = "my-bucket";
        options.endpoint.region = "eu-central-1";
        options.prefix = "dr/main";
        world.http.handler = [this](const env::HttpRequest& request) -> Result<env::HttpResponse> {
            requests.push_back(request);
            if (!answers.empty()) {
                auto answer = answers.front();
                answers.erase(answers.begin());
                return answer;
            }
            return env::HttpResponse{200, {}, ""};
        };
    }
    std::unique_ptr<S3Storage> open() {
        auto opened = S3Storage::open({world.http, world.clock, world.random, world.threads, credentials}, options);
        EXPECT_TRUE(opened) << opened.error().to_string();
        return opened ? std::move(*opened) : nullptr;
    }
    Status put(S3Storage& storage, PutMode mode = PutMode::kIfAbsent) {
        const std::string_view bytes = "bytes";
        return storage.put("keys/one", bytes, mode, world.clock.context());
    }
    std::string sent(const std::string& name, std::size_t request = 0) {
        for (const auto& [header, value] : requests.at(request).headers) {
            if (header == name) return value;
        }
        return "(none)";
    }

    FakeEnv world;
    S3Options options;
    Credentials credentials;
    std::vector<env::HttpRequest> requests;
    std::vector<Result<env::HttpResponse>> answers;
};

TEST_F(S3Test, AddressesTheBucketByHostOrByPath) {
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(requests[0].url, "https://my-bucket.s3.eu-central-1.amazonaws.com/dr/main/keys/one");
    options.endpoint.path_style = true;
    options.endpoint.url = "https://minio.example:443/";
    options.endpoint.tls.ca_file = "/etc/ca.pem";
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(requests[1].url, "https://minio.example/my-bucket/dr/main/keys/one");
    EXPECT_EQ(requests[1].tls.ca_file, "/etc/ca.pem");
    options.prefix = "";
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(requests[2].url, "https://minio.example/my-bucket/keys/one");
    EXPECT_EQ(open()->describe(), "s3://my-bucket");
}

TEST_F(S3Test, SignsTheBodyAndAsksForAFreeName) {
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(requests[0].body, "bytes");
    EXPECT_EQ(sent("x-amz-content-sha256"), sha256_hex(std::string_view("bytes")));
    EXPECT_EQ(sent("if-none-match"), "*");
    EXPECT_EQ(sent("x-amz-security-token"), "(none)");
    const std::string names = "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;x-amz-meta-writer";
    EXPECT_NE(sent("Authorization").find(names), std::string::npos);
    ASSERT_TRUE(put(*open(), PutMode::kOverwrite));
    EXPECT_EQ(sent("if-none-match", 1), "(none)");
    options.endpoint.sign_payload = false;
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(sent("x-amz-content-sha256", 2), "UNSIGNED-PAYLOAD");
}

TEST_F(S3Test, SessionTokensAreSignedAndRenewedOnce) {
    credentials.given.session_token = Secret("session");
    answers = {env::HttpResponse{400, {}, "<Error><Code>ExpiredToken</Code></Error>"}};
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(credentials.forgotten, 1);
    EXPECT_EQ(requests.size(), 2U);
    EXPECT_EQ(sent("x-amz-security-token"), "session");
    EXPECT_NE(sent("Authorization").find("x-amz-security-token"), std::string::npos);
}

TEST_F(S3Test, EncryptionAndObjectLockAreAskedFor) {
    options.encryption = S3Encryption::kAwsKms;
    options.kms_key_id = "alias/backup";
    options.object_lock = S3ObjectLock{true, 24h};
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(sent("x-amz-server-side-encryption"), "aws:kms");
    EXPECT_EQ(sent("x-amz-server-side-encryption-aws-kms-key-id"), "alias/backup");
    EXPECT_EQ(sent("x-amz-object-lock-mode"), "COMPLIANCE");
    EXPECT_EQ(sent("x-amz-object-lock-retain-until-date"), "2026-03-02T10:00:00.000Z");
    EXPECT_EQ(sent("content-md5"), "SzpiGLs+OnMD6KFxpg/Pkg==");
    EXPECT_NE(sent("Authorization").find("x-amz-server-side-encryption-aws-kms-key-id"), std::string::npos);
    options.encryption = S3Encryption::kAes256;
    options.object_lock.reset();
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(sent("x-amz-server-side-encryption", 1), "AES256");
    EXPECT_EQ(sent("content-md5", 1), "(none)");
}

TEST_F(S3Test, WithoutConditionalWritesItLooksFirst) {
    options.has_conditional_writes = false;
    answers = {env::HttpResponse{404, {}, ""}};
    ASSERT_TRUE(put(*open()));
    EXPECT_EQ(requests[0].method, "HEAD");
    EXPECT_EQ(sent("if-none-match", 1), "(none)");
    answers = {env::HttpResponse{
        200, {{"content-length", "5"}, {"last-modified", "Sun, 01 Mar 2026 10:00:00 GMT"}}, ""}};
    const Status taken = put(*open());
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::kAlreadyExists);
    EXPECT_EQ(requests.size(), 3U);
}

TEST_F(S3Test, ALostAnswerToAFreeNameIsLookedUp) {
    const Error lost = make_error(ErrorCode::kConnectionLost, "reset", "", Effect::kUnknown);
    const env::HttpResponse taken{412, {}, ""};
    // The random numbers of this test count up.
    const env::HttpResponse ours{200, {{"x-amz-meta-writer", "00000000000000010000000000000002"}}, ""};
    const env::HttpResponse theirs{200, {{"x-amz-meta-writer", "00000000000000110000000000000012"}}, ""};
    answers = {lost, taken, ours};
    EXPECT_TRUE(put(*open()));
    EXPECT_EQ(sent("x-amz-meta-writer"), "00000000000000010000000000000002");
    EXPECT_EQ(sent("x-amz-meta-writer", 1), sent("x-amz-meta-writer")) << "one write, two attempts";
    for (const auto& other : {theirs, env::HttpResponse{200, {}, ""}, env::HttpResponse{404, {}, ""}}) {
        answers = {lost, taken, other};
        EXPECT_EQ(put(*open()).error().code, ErrorCode::kAlreadyExists);
    }
}

TEST_F(S3Test, RefusesAnotherRangeThanAskedFor) {
    const auto storage = open();
    std::string into(4, '\0');
    const auto read = [&](std::uint64_t offset) { return storage->read("a", offset, into, world.clock.context()); };
    answers = {env::HttpResponse{206, {{"content-range", "bytes 8-11/99"}}, "8901"}};
    EXPECT_EQ(read(8), 4U);
    EXPECT_EQ(sent("range"), "bytes=8-11");
    answers = {env::HttpResponse{206, {{"content-range", "bytes 0-3/99"}}, "0123"}};
    EXPECT_EQ(read(8).error().code, ErrorCode::kProtocol);
    answers = {env::HttpResponse{200, {}, "0123"}};
    EXPECT_EQ(read(8).error().code, ErrorCode::kProtocol);
    answers = {env::HttpResponse{206, {{"content-range", "bytes 8-12/99"}}, "01234"}};
    EXPECT_EQ(read(8).error().code, ErrorCode::kProtocol);
    answers = {env::HttpResponse{200, {}, "0123"}};
    EXPECT_EQ(read(0), 4U) << "a server without ranges, and all of it";
}

TEST_F(S3Test, RefusesAListingOutOfOrder) {
    const auto storage = open();
    const auto page = [](const std::string& key) {
        return "<Contents><Key>" + key +
               "</Key><LastModified>2026-03-01T10:00:00Z</LastModified><Size>1</Size></Contents>";
    };
    answers = {env::HttpResponse{200, {}, "<ListBucketResult>" + page("dr/main/b") + page("dr/main/a") +
                                              "<IsTruncated>false</IsTruncated></ListBucketResult>"}};
    const auto all = [](const ObjectInfo&) { return true; };
    EXPECT_EQ(storage->list("", all, world.clock.context()).error().code, ErrorCode::kProtocol);
    answers = {env::HttpResponse{200, {}, "<ListBucketResult>" + page("dr/other/b") +
                                              "<IsTruncated>false</IsTruncated></ListBucketResult>"}};
    EXPECT_EQ(storage->list("", all, world.clock.context()).error().code, ErrorCode::kProtocol);
}

TEST_F(S3Test, ASwallowedConditionIsFound) {
    answers = {};  // both writes succeed
    const Status verified = open()->verify_conditional_writes(world.clock.context());
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code, ErrorCode::kConfiguration);
    answers = {env::HttpResponse{200, {}, ""}, env::HttpResponse{412, {}, ""}, env::HttpResponse{200, {}, ""},
               env::HttpResponse{204, {}, ""}};
    EXPECT_TRUE(open()->verify_conditional_writes(world.clock.context()));
}

TEST_F(S3Test, ErrorsAndDescriptionsShowNoSecret) {
    options.retry.attempts = 1;
    credentials.given.session_token = Secret("session-secret");
    const auto storage = open();
    for (const int status : {400, 403, 404, 500}) {
        answers = {env::HttpResponse{status, {}, "<Error><Code>SignatureDoesNotMatch</Code></Error>"}};
        const Status failed = put(*storage);
        ASSERT_FALSE(failed);
        const std::string text = failed.error().to_string() + failed.error().hint;
        EXPECT_EQ(text.find("secret"), text.find("secret and the region")) << text;
        EXPECT_EQ(text.find("AKIA1"), std::string::npos) << text;
    }
    EXPECT_EQ(storage->describe(), "s3://my-bucket/dr/main");
}

TEST_F(S3Test, RefusesOptionsThatCannotBe) {
    const auto code = [&] {
        auto opened = S3Storage::open({world.http, world.clock, world.random, world.threads, credentials}, options);
        return opened ? ErrorCode::kInternal : opened.error().code;
    };
    const S3Options good = options;
    EXPECT_EQ(code(), ErrorCode::kInternal);
    for (const char* url :
         {"ftp://host", "host", "https://", "https://user:pw@host", "https://host/path", "https://h?x"}) {
        options = good;
        options.endpoint.url = url;
        EXPECT_EQ(code(), ErrorCode::kConfiguration) << url;
    }
    options = good;
    options.endpoint.url = "https://user:pw@host";
    auto refused = S3Storage::open({world.http, world.clock, world.random, world.threads, credentials}, options);
    EXPECT_EQ(refused.error().to_string().find("pw"), std::string::npos);
    for (const char* bucket : {"", "ab", "a/b/c", "a b c", "bucket?x"}) {
        options = good;
        options.endpoint.bucket = bucket;
        EXPECT_EQ(code(), ErrorCode::kConfiguration) << bucket;
    }
    for (const char* prefix : {"/a", "a/", "a//b", "../a"}) {
        options = good;
        options.prefix = prefix;
        EXPECT_EQ(code(), ErrorCode::kConfiguration) << prefix;
    }
    options = good;
    options.endpoint.url = "http://host";
    options.endpoint.sign_payload = false;
    EXPECT_EQ(code(), ErrorCode::kConfiguration);
}

}  // namespace
}  // namespace aeterna::repository
