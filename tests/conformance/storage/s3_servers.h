// The S3 servers that the suite runs against: the stand-in, everywhere, and versitygw, a real one, where it is built.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "env/env.h"
#include "repository/storage/s3.h"
#include "s3_stand_in.h"

namespace aeterna::repository::testing {

// What a driver needs to reach a server.
struct S3Place {
    env::Endpoint endpoint;
    std::string bucket;
    std::string region;
    std::string access_key_id;
    std::string secret;
    std::size_t smallest_part_bytes = 1;  // of all parts but the last
    std::string ca_file;                  // empty: it speaks plain http
};

class FixedCredentials final : public CredentialSource {
  public:
    explicit FixedCredentials(const S3Place& place)
        : credentials_{place.access_key_id, Secret(place.secret), Secret(), std::nullopt} {}
    Result<S3Credentials> get(const env::Context&) override { return credentials_; }
    void forget() override {}

  private:
    S3Credentials credentials_;
};

class S3Server {
  public:
    virtual ~S3Server() = default;
    [[nodiscard]] virtual S3Place place() const = 0;
};

[[nodiscard]] std::unique_ptr<S3Server> start_stand_in(const env::Env& env, StandInOptions options = {});

// $AETERNA_VERSITYGW, or where scripts/build-versitygw puts it; nothing where it is not built.
[[nodiscard]] std::optional<std::string> find_versitygw(const env::Env& env);
// With an empty bucket in a new directory; null and a test failure where it does not start. `with_tls`: with a
// certificate of its own authority.
[[nodiscard]] std::unique_ptr<S3Server> start_versitygw(const env::Env& env, const std::string& binary,
                                                        bool with_tls = false);

// Path style, small parts, quick retries.
[[nodiscard]] S3Options options_for(const S3Place& place, const std::string& prefix);

}  // namespace aeterna::repository::testing
