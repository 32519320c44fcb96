// The AWS tools' profile files: ~/.aws/credentials and ~/.aws/config, or where AWS_SHARED_CREDENTIALS_FILE and
// AWS_CONFIG_FILE say.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "env/files.h"

namespace aeterna::repository {

// Settings of one profile, both files together; where both say something, the credentials file wins.
struct S3Profile {
    std::string name;
    std::map<std::string, std::string> settings;

    [[nodiscard]] std::optional<std::string> find(const std::string& key) const;
};

// `wanted` empty: AWS_PROFILE, then "default". A profile that no file has is empty; an unreadable file is an error.
[[nodiscard]] Result<S3Profile> read_profile(env::Files& files, const std::string& wanted);

// The section's settings in the files' own form: "[name]", "key = value", comments from '#' or ';' on at a line's
// beginning. Nested settings (indented lines below a key) are skipped.
[[nodiscard]] std::map<std::string, std::string> parse_profile(std::string_view text, std::string_view section);

}  // namespace aeterna::repository
