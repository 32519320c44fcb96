#include "repository/storage/s3_credentials.h"

#include <gtest/gtest.h>

#include "repository/storage/s3_profile.h"
#include "unit/support/fake_env.h"

namespace aeterna::repository {
namespace {

using aeterna::testing::FakeEnv;

constexpr const char* kStsAnswer =
    "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
    "<AssumeRoleWithWebIdentityResult><Credentials><SessionToken>session</SessionToken>"
    "<SecretAccessKey>sts-secret</SecretAccessKey><Expiration>2026-03-01T11:00:00Z</Expiration>"
    "<AccessKeyId>ASIA1</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>"
    "</AssumeRoleWithWebIdentityResponse>";

class S3CredentialsTest : public ::testing::Test {
  protected:
    std::unique_ptr<CredentialSource> chain(const std::string& profile = "") {
        return make_credential_chain({world.files, world.http, world.clock}, "eu-central-1", profile);
    }
    void use_web_identity() {
        world.files.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/run/token";
        world.files.environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/backup";
        world.files.content["/run/token"] = "the.web+token\n";
        world.http.handler = [this](const env::HttpRequest& request) -> Result<env::HttpResponse> {
            ++asked;
            last = request;
            return env::HttpResponse{sts_status, {}, sts_answer};
        };
    }

    FakeEnv world;
    int asked = 0;
    int sts_status = 200;
    std::string sts_answer = kStsAnswer;
    env::HttpRequest last;
};

TEST_F(S3CredentialsTest, TheEnvironmentComesFirst) {
    use_web_identity();
    world.files.environment["AWS_ACCESS_KEY_ID"] = "AKIA1";
    world.files.environment["AWS_SECRET_ACCESS_KEY"] = "secret";
    world.files.environment["AWS_SESSION_TOKEN"] = "token";
    const auto found = chain()->get(world.clock.context());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->access_key_id, "AKIA1");
    EXPECT_EQ(found->secret_access_key.reveal(), "secret");
    EXPECT_EQ(found->session_token.reveal(), "token");
    EXPECT_EQ(asked, 0);
}

TEST_F(S3CredentialsTest, HalfAnEnvironmentIsAnError) {
    world.files.environment["AWS_ACCESS_KEY_ID"] = "AKIA1";
    const auto found = chain()->get(world.clock.context());
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kAuthentication);
}

TEST_F(S3CredentialsTest, ReadsTheProfileThatIsNamed) {
    world.files.environment["HOME"] = "/home/me";
    world.files.content["/home/me/.aws/credentials"] =
        "# comment\n[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key=s1\n\n"
        "[ site-b ]\r\naws_access_key_id = AKIASITEB\r\naws_secret_access_key = s=2/+\r\n";
    world.files.content["/home/me/.aws/config"] =
        "[profile site-b]\nregion = eu-west-3\ns3 =\n  aws_access_key_id = nested\n[default]\nregion = us-west-1\n";
    EXPECT_EQ(chain()->get(world.clock.context())->access_key_id, "AKIADEFAULT");
    EXPECT_EQ(chain("site-b")->get(world.clock.context())->secret_access_key.reveal(), "s=2/+");
    EXPECT_EQ(find_region(world.files, "site-b"), "eu-west-3");
    world.files.environment["AWS_PROFILE"] = "site-b";
    EXPECT_EQ(chain()->get(world.clock.context())->access_key_id, "AKIASITEB");
    EXPECT_EQ(find_region(world.files), "eu-west-3");
    world.files.environment["AWS_REGION"] = "ap-south-1";
    EXPECT_EQ(find_region(world.files), "ap-south-1");
    world.files.environment["AWS_SHARED_CREDENTIALS_FILE"] = "/etc/s3";
    world.files.content["/etc/s3"] = "[site-b]\naws_access_key_id=OTHER\naws_secret_access_key=x\n";
    EXPECT_EQ(chain()->get(world.clock.context())->access_key_id, "OTHER");
}

TEST_F(S3CredentialsTest, AnswersWithoutAnyAreClear) {
    const auto found = chain("nobody")->get(world.clock.context());
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kAuthentication);
    EXPECT_NE(found.error().hint.find("AWS_ACCESS_KEY_ID"), std::string::npos);
    EXPECT_EQ(find_region(world.files), std::nullopt);
}

TEST_F(S3CredentialsTest, TakesAWebIdentityToSts) {
    use_web_identity();
    const auto found = chain()->get(world.clock.context());
    ASSERT_TRUE(found) << found.error().to_string();
    EXPECT_EQ(found->access_key_id, "ASIA1");
    EXPECT_EQ(found->session_token.reveal(), "session");
    EXPECT_EQ(last.url, "https://sts.eu-central-1.amazonaws.com/");
    EXPECT_NE(last.body.find("WebIdentityToken=the.web%2Btoken"), std::string::npos) << last.body;
    EXPECT_NE(last.body.find("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fbackup"), std::string::npos);
}

TEST_F(S3CredentialsTest, RenewsBeforeTheEndAndAfterForget) {
    use_web_identity();
    const auto source = chain();
    ASSERT_TRUE(source->get(world.clock.context()));
    world.clock.advance(54min);
    ASSERT_TRUE(source->get(world.clock.context()));
    EXPECT_EQ(asked, 1) << "six minutes are left";
    world.clock.advance(2min);
    ASSERT_TRUE(source->get(world.clock.context()));
    EXPECT_EQ(asked, 2);
    sts_answer.replace(sts_answer.find("2026-03-01T11"), 13, "2026-03-01T15");
    ASSERT_TRUE(source->get(world.clock.context()));
    ASSERT_TRUE(source->get(world.clock.context()));
    EXPECT_EQ(asked, 3);
    source->forget();
    ASSERT_TRUE(source->get(world.clock.context()));
    EXPECT_EQ(asked, 4);
}

TEST_F(S3CredentialsTest, AFailedRenewalIsNoHarmWhileTheOldOnesHold) {
    use_web_identity();
    const auto source = chain();
    ASSERT_TRUE(source->get(world.clock.context()));
    world.clock.advance(57min);
    sts_status = 503;
    const auto kept = source->get(world.clock.context());
    ASSERT_TRUE(kept) << kept.error().to_string();
    EXPECT_EQ(kept->access_key_id, "ASIA1");
    EXPECT_EQ(asked, 2);
    world.clock.advance(4min);
    EXPECT_FALSE(source->get(world.clock.context()));
}

TEST_F(S3CredentialsTest, ErrorsShowNoSecret) {
    use_web_identity();
    sts_status = 403;
    sts_answer = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>the.web+token is bad</Message>"
                 "</Error></ErrorResponse>";
    const auto refused = chain()->get(world.clock.context());
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().to_string().find("InvalidIdentityToken"), std::string::npos);
    EXPECT_EQ(refused.error().to_string().find("the.web"), std::string::npos) << refused.error().to_string();
    sts_status = 200;
    sts_answer = kStsAnswer;
    sts_answer.replace(sts_answer.find("ASIA1"), 5, "");
    const auto incomplete = chain()->get(world.clock.context());
    ASSERT_FALSE(incomplete);
    EXPECT_EQ(incomplete.error().to_string().find("sts-secret"), std::string::npos);
}

}  // namespace
}  // namespace aeterna::repository
