// The text that names a bucket, "s3://bucket/prefix?region=eu-central-1&endpoint=https://host:9000", and opening what
// it names. Options: endpoint, region, path-style, ca-file, client-certificate, client-key, encryption, kms-key,
// object-lock, conditional-writes, sign-payload, part-mib, parallel-parts, profile (docs/storage.md). No secret is one.
#pragma once

#include <memory>
#include <string>

#include "env/env.h"
#include "repository/storage/s3.h"

namespace aeterna::repository {

struct S3Location {
    S3Options options;
    std::string profile;          // of the AWS tools' files; empty: AWS_PROFILE, "default"
    bool has_path_style = false;  // said, not assumed
};

// kUsage for anything that is not such a text, unknown and repeated options among them. Asks nobody.
[[nodiscard]] Result<S3Location> parse_s3_location(const std::string& text);

// The storage and what it lives on.
struct OpenedS3 {
    std::unique_ptr<CredentialSource> credentials;
    std::unique_ptr<S3Storage> storage;
};

// Region and address that the text leaves open come from AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
// AWS_DEFAULT_REGION and the profile. An address of one's own means path style, unless the text says otherwise.
// Touches no network. `env` outlives it.
[[nodiscard]] Result<OpenedS3> open_s3(const env::Env& env, const std::string& text);

}  // namespace aeterna::repository
