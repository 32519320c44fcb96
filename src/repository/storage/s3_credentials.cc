#include "repository/storage/s3_credentials.h"

#include <fmt/format.h>

#include <mutex>

#include "base/strings.h"
#include "repository/storage/s3_profile.h"
#include "repository/storage/s3_replies.h"
#include "repository/storage/sigv4.h"
#include "repository/storage/xml.h"

namespace aeterna::repository {
namespace {

// Renewed while the old ones still hold: a long upload must not meet their end.
constexpr Duration kRenewAhead = 5min;
constexpr std::size_t kTokenLimitBytes = 64U << 10;

// What STS needs: from the environment or a profile.
struct WebIdentity {
    std::string token_file;
    std::string role;
    std::string session_name;
};

Error no_credentials(const std::string& why) {
    return make_error(ErrorCode::kAuthentication, fmt::format("no credentials for S3: {}", why),
                      "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_WEB_IDENTITY_TOKEN_FILE and "
                      "AWS_ROLE_ARN, or AWS_PROFILE with a profile file.");
}

class Chain final : public CredentialSource {
  public:
    Chain(const CredentialPorts& ports, std::string region, std::string profile)
        : ports_(ports), region_(std::move(region)), profile_(std::move(profile)) {}

    Result<S3Credentials> get(const env::Context& context) override {
        {
            const std::lock_guard lock(mutex_);
            if (kept_ && (!kept_->expires || ports_.clock.wall_now() + kRenewAhead < *kept_->expires)) return *kept_;
        }
        // Two threads may ask at the same time: both answers are good.
        auto found = look(context);
        const std::lock_guard lock(mutex_);
        // A failed renewal is no harm while the old ones hold.
        if (!found && kept_ && kept_->expires && ports_.clock.wall_now() < *kept_->expires) return *kept_;
        if (found) kept_ = *found;
        return found;
    }

    void forget() override {
        const std::lock_guard lock(mutex_);
        kept_.reset();
    }

  private:
    [[nodiscard]] std::string variable(const std::string& name) const {
        return ports_.files.environment_variable(name).value_or("");
    }

    Result<S3Credentials> look(const env::Context& context) {
        S3Credentials credentials{variable("AWS_ACCESS_KEY_ID"), Secret(variable("AWS_SECRET_ACCESS_KEY")),
                                  Secret(variable("AWS_SESSION_TOKEN")), std::nullopt};
        if (credentials.access_key_id.empty() != credentials.secret_access_key.empty()) {
            return no_credentials("only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set");
        }
        if (!credentials.access_key_id.empty()) return credentials;
        if (!variable("AWS_WEB_IDENTITY_TOKEN_FILE").empty()) {
            return ask_sts({variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN"),
                            variable("AWS_ROLE_SESSION_NAME")}, context);
        }
        return from_profile(context);
    }

    Result<S3Credentials> from_profile(const env::Context& context) {
        AETERNA_ASSIGN(const S3Profile profile, read_profile(ports_.files, profile_));
        const auto id = profile.find("aws_access_key_id");
        const auto secret = profile.find("aws_secret_access_key");
        if (id && secret) {
            return S3Credentials{*id, Secret(*secret), Secret(profile.find("aws_session_token").value_or("")),
                                 std::nullopt};
        }
        if (const auto token_file = profile.find("web_identity_token_file")) {
            return ask_sts({*token_file, profile.find("role_arn").value_or(""),
                            profile.find("role_session_name").value_or("")}, context);
        }
        return no_credentials(fmt::format("the profile '{}' has none", one_line(profile.name)));
    }

    // AssumeRoleWithWebIdentity needs no signature: the token is the proof. It goes in the body, so that no log on
    // the way has it.
    Result<S3Credentials> ask_sts(const WebIdentity& identity, const env::Context& context) {
        if (identity.role.empty()) return no_credentials("a web identity without AWS_ROLE_ARN");
        AETERNA_ASSIGN(const std::string token, ports_.files.read(identity.token_file, kTokenLimitBytes));
        env::HttpRequest request;
        request.method = "POST";
        request.url = variable("AWS_ENDPOINT_URL_STS");
        if (request.url.empty()) request.url = fmt::format("https://sts.{}.amazonaws.com/", region_);
        request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
        request.body = canonical_query({
            {"Action", "AssumeRoleWithWebIdentity"},
            {"Version", "2011-06-15"},
            {"RoleArn", identity.role},
            {"RoleSessionName", identity.session_name.empty() ? "aeterna-dr" : identity.session_name},
            {"WebIdentityToken", std::string(trim(token))},
        });
        auto response = ports_.http.send(request, context);
        if (!response) return wrap_error(std::move(response).error(), "ask STS for credentials");
        if (response->status != 200) {
            const S3Refusal refusal = parse_refusal(response->body);
            return make_error(ErrorCode::kAuthentication,
                              fmt::format("STS refused the web identity: {} {}", response->status, refusal.code),
                              "Check AWS_ROLE_ARN, its trust policy, and whether the token file is current.");
        }
        return parse_sts(response->body);
    }

    static Result<S3Credentials> parse_sts(const std::string& body) {
        AETERNA_ASSIGN(const XmlNode root, parse_xml(body));
        const XmlNode* result = root.find("AssumeRoleWithWebIdentityResult");
        const XmlNode* given = result == nullptr ? nullptr : result->find("Credentials");
        if (given == nullptr) return make_error(ErrorCode::kProtocol, "the answer of STS has no credentials");
        const auto expires = parse_time(given->text_of("Expiration"));
        S3Credentials credentials{given->text_of("AccessKeyId"), Secret(given->text_of("SecretAccessKey")),
                                  Secret(given->text_of("SessionToken")), std::nullopt};
        if (!expires || credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
            return make_error(ErrorCode::kProtocol, "the credentials of STS are incomplete");
        }
        credentials.expires = *expires;
        return credentials;
    }

    CredentialPorts ports_;
    std::string region_;
    std::string profile_;
    std::mutex mutex_;
    std::optional<S3Credentials> kept_;
};

}  // namespace

std::unique_ptr<CredentialSource> make_credential_chain(const CredentialPorts& ports, const std::string& region,
                                                        const std::string& profile) {
    return std::make_unique<Chain>(ports, region, profile);
}

std::optional<std::string> find_region(env::Files& files, const std::string& profile) {
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
        if (auto region = files.environment_variable(name); region && !region->empty()) return region;
    }
    const auto found = read_profile(files, profile);
    return found ? found->find("region") : std::nullopt;
}

}  // namespace aeterna::repository
