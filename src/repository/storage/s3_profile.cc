#include "repository/storage/s3_profile.h"

#include "base/strings.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kFileLimitBytes = 1U << 20;

std::string path_of(env::Files& files, const std::string& variable, const std::string& below_home) {
    if (const auto path = files.environment_variable(variable); path && !path->empty()) return *path;
    const auto home = files.environment_variable("HOME");
    return home && !home->empty() ? *home + below_home : "";
}

// A file that is not there says nothing.
Result<std::string> read_optional(env::Files& files, const std::string& path) {
    if (path.empty()) return std::string();
    auto text = files.read(path, kFileLimitBytes);
    if (!text && text.error().code == ErrorCode::kNotFound) return std::string();
    return text;
}

}  // namespace

std::optional<std::string> S3Profile::find(const std::string& key) const {
    const auto found = settings.find(key);
    if (found == settings.end() || found->second.empty()) return std::nullopt;
    return found->second;
}

std::map<std::string, std::string> parse_profile(std::string_view text, std::string_view section) {
    std::map<std::string, std::string> settings;
    bool is_inside = false;
    for (const std::string_view raw : split(text, '\n')) {
        const std::string_view line = trim(raw);
        if (line.empty() || line.front() == '#' || line.front() == ';') continue;
        if (line.front() == '[') {
            is_inside = line.back() == ']' && trim(line.substr(1, line.size() - 2)) == section;
            continue;
        }
        const std::size_t equal = line.find('=');
        const bool is_nested = raw.front() == ' ' || raw.front() == '\t';
        if (!is_inside || is_nested || equal == std::string_view::npos) continue;
        settings[lower(trim(line.substr(0, equal)))] = std::string(trim(line.substr(equal + 1)));
    }
    return settings;
}

Result<S3Profile> read_profile(env::Files& files, const std::string& wanted) {
    S3Profile profile;
    profile.name = wanted.empty() ? files.environment_variable("AWS_PROFILE").value_or("") : wanted;
    if (profile.name.empty()) profile.name = "default";
    const std::string config_section = profile.name == "default" ? "default" : "profile " + profile.name;
    AETERNA_ASSIGN(const std::string config,
                   read_optional(files, path_of(files, "AWS_CONFIG_FILE", "/.aws/config")));
    AETERNA_ASSIGN(const std::string credentials,
                   read_optional(files, path_of(files, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials")));
    profile.settings = parse_profile(credentials, profile.name);
    profile.settings.merge(parse_profile(config, config_section));
    return profile;
}

}  // namespace aeterna::repository
