// Where S3's credentials come from: the environment, a web identity (a token file and STS), or the profile files, in
// this order, as the AWS tools do it. Never from argv, never printed: they are Secrets, and errors name the source.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/secret.h"
#include "env/clock.h"
#include "env/files.h"
#include "env/net.h"

namespace aeterna::repository {

struct S3Credentials {
    std::string access_key_id;
    Secret secret_access_key;
    Secret session_token;             // empty: long-lived keys
    std::optional<WallTime> expires;  // nothing: they do not
};

// Thread-safe. Blocks while STS is asked.
class CredentialSource {
  public:
    virtual ~CredentialSource() = default;
    // Kept, and renewed before they expire. kAuthentication with a hint where there are none.
    [[nodiscard]] virtual Result<S3Credentials> get(const env::Context& context) = 0;
    // The server said that they have expired: the next `get` looks again.
    virtual void forget() = 0;
};

struct CredentialPorts {
    env::Files& files;
    env::HttpClient& http;
    const env::Clock& clock;
};

// `profile` empty: AWS_PROFILE, then "default". `region` is where STS is asked.
[[nodiscard]] std::unique_ptr<CredentialSource> make_credential_chain(const CredentialPorts& ports,
                                                                      const std::string& region,
                                                                      const std::string& profile = "");

// AWS_REGION, AWS_DEFAULT_REGION, then the profile's; nothing where nobody says.
[[nodiscard]] std::optional<std::string> find_region(env::Files& files, const std::string& profile = "");

}  // namespace aeterna::repository
