// Vectors that AWS published: the examples of the S3 API reference ("Signature Calculations for the Authorization
// Header") and the Signature Version 4 test suite.
#include "repository/storage/sigv4.h"

#include <gtest/gtest.h>

namespace aeterna::repository {
namespace {

constexpr const char* kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

WallTime at(const char* text) { return *parse_time(text); }

std::string signature_of(const std::string& authorization) {
    return authorization.substr(authorization.rfind('=') + 1);
}


std::string sign_s3(SignableRequest request) {
    request.headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
    request.headers.emplace_back("x-amz-date", "20130524T000000Z");
    request.headers.emplace_back("x-amz-content-sha256", request.payload_hash);
    const SigningKey key{"AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")};
    return authorization(request, {"us-east-1", "s3"}, key, at("2013-05-24T00:00:00Z"));
}

TEST(SigV4, SignsTheExamplesOfTheS3Reference) {
    const std::string range = sign_s3({"GET", "/test.txt", {}, {{"Range", "bytes=0-9"}}, kEmptyHash});
    EXPECT_EQ(range, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                     "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
                     "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    const std::string put = sign_s3({"PUT", "/test$file.text", {},
                                     {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                                     sha256_hex(std::string_view("Welcome to Amazon S3."))});
    EXPECT_EQ(signature_of(put), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    EXPECT_EQ(signature_of(sign_s3({"GET", "/", {{"lifecycle", ""}}, {}, kEmptyHash})),
              "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    EXPECT_EQ(signature_of(sign_s3({"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, kEmptyHash})),
              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

std::string sign_suite(SignableRequest request) {
    request.headers.emplace_back("Host", "example.amazonaws.com");
    request.headers.emplace_back("X-Amz-Date", "20150830T123600Z");
    if (request.payload_hash.empty()) request.payload_hash = kEmptyHash;
    const SigningKey key{"AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")};
    return signature_of(authorization(request, {"us-east-1", "service"}, key, at("2015-08-30T12:36:00Z")));
}

TEST(SigV4, SignsTheTestSuite) {
    const struct {
        const char* name;
        SignableRequest request;
        const char* signature;
    } cases[] = {
        {"get-vanilla", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"get-vanilla-query-order-key-case",
         {"GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {}, ""},
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-unreserved",
         {"GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {}, {}, ""},
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
        {"get-utf8", {"GET", "/\xe1\x88\xb4", {}, {}, ""},
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {"get-header-key-duplicate",
         {"GET", "/", {}, {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}, ""},
         "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
        {"get-header-value-trim",
         {"GET", "/", {}, {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}, ""},
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {"post-vanilla", {"POST", "/", {}, {}, ""},
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"post-x-www-form-urlencoded",
         {"POST", "/", {}, {{"Content-Type", "application/x-www-form-urlencoded"}},
          sha256_hex(std::string_view("Param1=value1"))},
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    };
    for (const auto& example : cases) EXPECT_EQ(sign_suite(example.request), example.signature) << example.name;
}

TEST(SigV4, SortsAndEncodesAQuery) {
    // Sorted by the encoded text: "a-" before "a=" before "aa", and equal names by value.
    EXPECT_EQ(canonical_query({{"b", "2"}, {"a", "1/2"}, {"b", "1"}, {"aa", ""}}), "a=1%2F2&aa=&b=1&b=2");
}

TEST(SigV4, DependsOnEveryPart) {
    const SignableRequest plain{"GET", "/key", {}, {}, kEmptyHash};
    const std::string signature = sign_s3(plain);
    for (SignableRequest changed : {SignableRequest{"PUT", "/key", {}, {}, kEmptyHash},
                                    SignableRequest{"GET", "/kez", {}, {}, kEmptyHash},
                                    SignableRequest{"GET", "/key", {{"a", ""}}, {}, kEmptyHash},
                                    SignableRequest{"GET", "/key", {}, {{"range", "bytes=0-1"}}, kEmptyHash},
                                    SignableRequest{"GET", "/key", {}, {}, std::string(kUnsignedPayload)}}) {
        EXPECT_NE(signature_of(sign_s3(changed)), signature_of(signature));
    }
    EXPECT_EQ(signing_time(at("2026-03-01T10:00:00.999Z")), "20260301T100000Z");
}

}  // namespace
}  // namespace aeterna::repository
