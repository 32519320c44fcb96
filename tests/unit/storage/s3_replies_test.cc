#include "repository/storage/s3_replies.h"

#include <gtest/gtest.h>

#include "repository/storage/s3_errors.h"
#include "repository/storage/xml.h"

namespace aeterna::repository {
namespace {

TEST(Xml, ReadsATree) {
    const auto root = parse_xml(
        "\n\n<?xml version=\"1.0\"?><a xmlns=\"x\"><n:b>one &amp; two</n:b><c k='v'/><b>three</b></a>");
    ASSERT_TRUE(root) << root.error().to_string();
    EXPECT_EQ(root->name, "a");
    EXPECT_EQ(root->children.size(), 3U);
    EXPECT_EQ(root->text_of("b"), "one & two");
    EXPECT_EQ(root->text_of("c"), "");
    EXPECT_EQ(root->find("d"), nullptr);
}

TEST(Xml, RefusesWhatIsNotOneProperDocument) {
    std::string deep;
    for (int i = 0; i < 40; ++i) deep += "<a>";
    for (int i = 0; i < 40; ++i) deep += "</a>";
    for (const std::string& text :
         {std::string(), std::string("   "), std::string("text"), std::string("<a>"), std::string("<a></b>"),
          std::string("<a/><b/>"), std::string("<a>&unknown;</a>"), std::string("<a>\x01</a>"), deep,
          std::string("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>"), std::string("<a>\xff</a>")}) {
        const auto parsed = parse_xml(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, ErrorCode::kProtocol);
    }
}

constexpr const char* kObject =
    "<Contents><Key>a%2Fb%20c</Key><LastModified>2026-03-01T10:00:00.000Z</LastModified><Size>17</Size></Contents>";

TEST(S3Replies, ReadsAListing) {
    const auto listing = parse_listing(std::string("<ListBucketResult><EncodingType>url</EncodingType>") + kObject +
                                       "<IsTruncated>true</IsTruncated>"
                                       "<NextContinuationToken>t/1=</NextContinuationToken>"
                                       "<CommonPrefixes/></ListBucketResult>");
    ASSERT_TRUE(listing) << listing.error().to_string();
    ASSERT_EQ(listing->objects.size(), 1U);
    EXPECT_EQ(listing->objects[0].key, "a/b c");
    EXPECT_EQ(listing->objects[0].bytes, 17U);
    EXPECT_EQ(format_time(listing->objects[0].modified), "2026-03-01T10:00:00.000Z");
    EXPECT_EQ(listing->next_token, "t/1=");
    const auto plain = parse_listing(std::string("<ListBucketResult>") + kObject +
                                     "<IsTruncated>false</IsTruncated></ListBucketResult>");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->objects[0].key, "a%2Fb%20c") << "nobody said that it is encoded";
}

TEST(S3Replies, RefusesAListingThatCouldHideObjects) {
    const std::string object = kObject;
    for (const std::string& text :
         {std::string("<ListBucketResult></ListBucketResult>"), "<Other>" + object + "</Other>",
          "<ListBucketResult>" + object + "<IsTruncated>true</IsTruncated></ListBucketResult>",
          "<ListBucketResult>" + object + "<IsTruncated>maybe</IsTruncated></ListBucketResult>",
          std::string("<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents>"
                      "<IsTruncated>false</IsTruncated></ListBucketResult>"),
          std::string("<ListBucketResult><Contents><LastModified>2026-03-01T10:00:00Z</LastModified><Size>1</Size>"
                      "</Contents><IsTruncated>false</IsTruncated></ListBucketResult>"),
          "<ListBucketResult>" + object + "<IsTruncated>false</IsTruncated>"}) {
        EXPECT_FALSE(parse_listing(text)) << text;
    }
}

TEST(S3Replies, ReadsHttpDates) {
    EXPECT_EQ(format_time(*parse_http_date("Fri, 24 May 2013 00:00:07 GMT")), "2013-05-24T00:00:07.000Z");
    for (const char* text : {"", "Fri, 24 May 2013 00:00:07 UTC", "Fri, 24 Mai 2013 00:00:07 GMT",
                             "Fri, 4 May 2013 00:00:07 GMT", "Fri, 24 May 2013 25:00:07 GMT",
                             "Friday, 24-May-13 00:00:07 GMT", "2013-05-24T00:00:07Z",
                             "Fri, x4 May 2013 00:00:07 GMT"}) {
        EXPECT_FALSE(parse_http_date(text)) << text;
    }
}

env::HttpResponse answer(int status, const std::string& code) {
    env::HttpResponse response;
    response.status = status;
    if (!code.empty()) response.body = "<Error><Code>" + code + "</Code><Message>m</Message></Error>";
    response.headers["date"] = "Sun, 01 Mar 2026 10:00:00 GMT";
    return response;
}

TEST(S3Errors, TellsCausesApart) {
    const WallTime now = *parse_time("2026-03-01T10:00:05Z");
    const struct {
        int status;
        const char* code;
        ErrorCode expected;
    } cases[] = {
        {403, "SignatureDoesNotMatch", ErrorCode::kAuthentication},
        {403, "AccessDenied", ErrorCode::kPermission},
        {403, "", ErrorCode::kPermission},
        {404, "NoSuchKey", ErrorCode::kNotFound},
        {404, "", ErrorCode::kNotFound},
        {404, "NoSuchBucket", ErrorCode::kNotFound},
        {412, "", ErrorCode::kAlreadyExists},
        {301, "PermanentRedirect", ErrorCode::kConfiguration},
        {503, "SlowDown", ErrorCode::kUnavailable},
        {500, "InternalError", ErrorCode::kUnavailable},
        {507, "", ErrorCode::kNoSpace},
        {403, "QuotaExceeded", ErrorCode::kNoSpace},
        {400, "InvalidArgument", ErrorCode::kServer},
        {409, "OperationAborted", ErrorCode::kUnavailable},
    };
    for (const auto& row : cases) {
        EXPECT_EQ(s3_error(answer(row.status, row.code), "x", false, now).code, row.expected) << row.status << row.code;
    }
    EXPECT_EQ(s3_error(answer(500, ""), "x", false, now).effect, Effect::kUnknown);
    EXPECT_EQ(s3_error(answer(500, ""), "x", true, now).effect, Effect::kNone);
    EXPECT_EQ(s3_error(answer(503, ""), "x", false, now).effect, Effect::kNone);
}

TEST(S3Errors, SaysWhenTheClockIsWrong) {
    const Error behind = s3_error(answer(403, "RequestTimeTooSkewed"), "x", true, *parse_time("2026-03-01T08:00:00Z"));
    EXPECT_EQ(behind.code, ErrorCode::kAuthentication);
    EXPECT_NE(behind.message.find("behind"), std::string::npos) << behind.message;
    // An answer to HEAD has no body: its date has to do.
    const Error ahead = s3_error(answer(403, ""), "x", true, *parse_time("2026-03-01T11:00:00Z"));
    EXPECT_NE(ahead.message.find("ahead"), std::string::npos) << ahead.message;
}

}  // namespace
}  // namespace aeterna::repository
