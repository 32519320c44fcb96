#include "repository/storage/s3_location.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/strings.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kScheme = "s3://";

Error refuse_location(const std::string& why) {
    return make_error(ErrorCode::kUsage, fmt::format("this is no place for a repository: {}", why),
                      "Write s3://BUCKET/PREFIX, options after '?' as NAME=VALUE with '&' between them "
                      "(docs/storage.md). Credentials never belong here.");
}

Status read_bool(const std::string& value, bool& into) {
    if (value != "on" && value != "off")
        return refuse_location(fmt::format("'{}' is neither on nor off", one_line(value)));
    into = value == "on";
    return {};
}

Result<std::int64_t> read_number(const std::string& value, std::int64_t largest) {
    const auto number = to_integer(value);
    if (!number || *number < 1 || *number > largest) {
        return refuse_location(fmt::format("'{}' is no number from 1 to {}", one_line(value), largest));
    }
    return *number;
}

Status read_encryption(const std::string& value, S3Encryption& into) {
    if (value != "AES256" && value != "aws:kms") {
        return refuse_location(fmt::format("encryption '{}' is neither AES256 nor aws:kms", one_line(value)));
    }
    into = value == "AES256" ? S3Encryption::kAes256 : S3Encryption::kAwsKms;
    return {};
}

// "governance:30d"
Status read_object_lock(const std::string& value, std::optional<S3ObjectLock>& into) {
    const std::size_t colon = value.find(':');
    const std::string mode = lower(value.substr(0, colon));
    if (colon == std::string::npos || (mode != "governance" && mode != "compliance")) {
        return refuse_location(fmt::format("object lock '{}' is not like governance:30d", one_line(value)));
    }
    AETERNA_ASSIGN(const Duration retention, parse_duration(value.substr(colon + 1)));
    into = S3ObjectLock{mode == "compliance", retention};
    return {};
}

Status read_option(const std::string& name, const std::string& value, S3Location& location) {
    S3Options& options = location.options;
    const std::map<std::string_view, std::string*> texts = {
        {"endpoint", &options.endpoint.url},         {"region", &options.endpoint.region},
        {"ca-file", &options.endpoint.tls.ca_file},  {"client-certificate", &options.endpoint.tls.certificate_file},
        {"kms-key", &options.kms_key_id},            {"client-key", &options.endpoint.tls.key_file},
        {"profile", &location.profile},
    };
    if (const auto text = texts.find(name); text != texts.end()) {
        *text->second = value;
        return {};
    }
    if (name == "path-style") {
        location.has_path_style = true;
        return read_bool(value, options.endpoint.path_style);
    }
    if (name == "sign-payload") return read_bool(value, options.endpoint.sign_payload);
    if (name == "conditional-writes") return read_bool(value, options.has_conditional_writes);
    if (name == "encryption") return read_encryption(value, options.encryption);
    if (name == "object-lock") return read_object_lock(value, options.object_lock);
    if (name == "part-mib") {
        AETERNA_ASSIGN(const std::int64_t mib, read_number(value, 512));
        options.part_bytes = static_cast<std::size_t>(mib) << 20;
        return {};
    }
    if (name == "parallel-parts") {
        AETERNA_ASSIGN(const std::int64_t parts, read_number(value, 32));
        options.parallel_parts = static_cast<int>(parts);
        return {};
    }
    return refuse_location(fmt::format("there is no option '{}'", one_line(name)));
}

}  // namespace

Result<S3Location> parse_s3_location(const std::string& text) {
    if (!text.starts_with(kScheme)) return refuse_location("it does not begin with s3://");
    if (text.find('@') != std::string::npos) return refuse_location("it has an '@' in it");
    S3Location location;
    location.options.endpoint.region.clear();  // not said
    const std::size_t mark = text.find('?');
    const std::string place = text.substr(kScheme.size(), mark == std::string::npos ? mark : mark - kScheme.size());
    const std::size_t slash = std::min(place.find('/'), place.size());
    location.options.endpoint.bucket = place.substr(0, slash);
    location.options.prefix = place.substr(std::min(slash + 1, place.size()));
    if (location.options.prefix.ends_with('/')) location.options.prefix.pop_back();
    if (location.options.endpoint.bucket.empty()) return refuse_location("it names no bucket");
    if (mark == std::string::npos) return location;
    std::map<std::string, std::string> seen;
    for (const std::string_view part : split(std::string_view(text).substr(mark + 1), '&')) {
        const std::size_t equal = part.find('=');
        if (equal == std::string_view::npos) return refuse_location(fmt::format("'{}' has no value", one_line(part)));
        const std::string name(part.substr(0, equal));
        const std::string value(part.substr(equal + 1));
        if (!seen.emplace(name, value).second)
            return refuse_location(fmt::format("'{}' is said twice", one_line(name)));
        if (value.empty()) return refuse_location(fmt::format("'{}' has no value", one_line(name)));
        AETERNA_TRY(read_option(name, value, location));
    }
    return location;
}

Result<OpenedS3> open_s3(const env::Env& env, const std::string& text) {
    AETERNA_ASSIGN(S3Location location, parse_s3_location(text));
    S3Endpoint& endpoint = location.options.endpoint;
    for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
        if (endpoint.url.empty()) endpoint.url = env.files.environment_variable(name).value_or("");
    }
    if (!location.has_path_style) endpoint.path_style = !endpoint.url.empty();
    if (endpoint.region.empty()) endpoint.region = find_region(env.files, location.profile).value_or("us-east-1");
    OpenedS3 opened;
    opened.credentials =
        make_credential_chain({env.files, env.http, env.clock}, endpoint.region, location.profile);
    AETERNA_ASSIGN(opened.storage, S3Storage::open({env.http, env.clock, env.random, env.threads, *opened.credentials},
                                                   std::move(location.options)));
    return opened;
}

}  // namespace aeterna::repository
