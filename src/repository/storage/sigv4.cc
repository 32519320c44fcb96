#include "repository/storage/sigv4.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/strings.h"
#include "base/url.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string sha256(std::span<const char> bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    AETERNA_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1);
    return {reinterpret_cast<const char*>(digest), size};
}

std::string hmac(std::string_view key, std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    AETERNA_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest,
                       &size) != nullptr);
    return {reinterpret_cast<const char*>(digest), size};
}

// Outer blanks removed, inner runs of them become one.
std::string canonical_value(std::string_view value) {
    std::string result;
    for (const char c : trim(value)) {
        if (c != ' ' || result.empty() || result.back() != ' ') result += c;
    }
    return result;
}

// Lower-case name → values of all headers of that name, in their order.
std::map<std::string, std::string> canonical_headers(const Fields& headers) {
    std::map<std::string, std::string> result;
    for (const auto& [name, value] : headers) {
        const auto [entry, is_new] = result.try_emplace(lower(name), canonical_value(value));
        if (!is_new) entry->second += "," + canonical_value(value);
    }
    return result;
}

std::string signed_names(const std::map<std::string, std::string>& headers) {
    std::string names;
    for (const auto& header : headers) names += (names.empty() ? "" : ";") + header.first;
    return names;
}

std::string scope_text(const SigningScope& scope, std::string_view date) {
    return fmt::format("{}/{}/{}/aws4_request", date, scope.region, scope.service);
}

std::string derive_key(const SigningKey& key, const SigningScope& scope, std::string_view date) {
    const std::string of_date = hmac("AWS4" + key.secret_access_key.reveal(), date);
    return hmac(hmac(hmac(of_date, scope.region), scope.service), "aws4_request");
}

}  // namespace

std::string sha256_hex(std::span<const char> bytes) { return to_hex(sha256(bytes)); }

// Sorted after encoding: by name, then by value.
std::string canonical_query(const Fields& query) {
    Fields encoded;
    for (const auto& [name, value] : query) {
        encoded.emplace_back(url_encode(name), url_encode(value));
    }
    std::sort(encoded.begin(), encoded.end());
    std::string result;
    for (const auto& [name, value] : encoded) {
        result += fmt::format("{}{}={}", result.empty() ? "" : "&", name, value);
    }
    return result;
}

std::string canonical_request(const SignableRequest& request) {
    const auto headers = canonical_headers(request.headers);
    std::string lines;
    for (const auto& [name, value] : headers) lines += fmt::format("{}:{}\n", name, value);
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, url_encode(request.path, true),
                       canonical_query(request.query), lines, signed_names(headers), request.payload_hash);
}

std::string signing_time(WallTime time) {
    std::string text = format_time(time);  // 2026-03-01T10:00:00.123Z
    text.erase(19, 4);
    std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
    return text;
}

std::string authorization(const SignableRequest& request, const SigningScope& scope, const SigningKey& key,
                          WallTime time) {
    const std::string instant = signing_time(time);
    const std::string date = instant.substr(0, 8);
    const std::string where = scope_text(scope, date);
    const std::string to_sign =
        fmt::format("{}\n{}\n{}\n{}", kAlgorithm, instant, where, sha256_hex(canonical_request(request)));
    return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm, key.access_key_id, where,
                       signed_names(canonical_headers(request.headers)),
                       to_hex(hmac(derive_key(key, scope, date), to_sign)));
}

}  // namespace aeterna::repository
