#include "s3_signature_check.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include <cctype>
#include <cstdio>
#include <memory>

#include "base/strings.h"

namespace aeterna::repository::testing {
namespace {

std::string keyed(const std::string& key, const std::string& text) {
    const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr), &EVP_MAC_free);
    const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(EVP_MAC_CTX_new(mac.get()),
                                                                            &EVP_MAC_CTX_free);
    char name[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                     OSSL_PARAM_construct_end()};
    unsigned char out[32];
    std::size_t size = 0;
    EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(key.data()), key.size(), parameters);
    EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
    EVP_MAC_final(context.get(), out, &size, sizeof out);
    return {reinterpret_cast<char*>(out), size};
}

// The part of "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…" after `name` and '='.
std::string part_of(const std::string& header, const std::string& name) {
    const std::size_t begin = header.find(name + "=");
    if (begin == std::string::npos) return "";
    const std::size_t from = begin + name.size() + 1;
    return header.substr(from, header.find(',', from) - from);
}

}  // namespace

std::string digest_hex(std::string_view bytes) {
    unsigned char out[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out);
    return to_hex({reinterpret_cast<char*>(out), sizeof out});
}

std::string SignatureCheck::encode(std::string_view text, bool keep_slash) {
    std::string out;
    for (const unsigned char c : text) {
        char escaped[4];
        std::snprintf(escaped, sizeof escaped, "%%%02X", c);
        const bool is_plain = std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
        out += is_plain || (c == '/' && keep_slash) ? std::string(1, static_cast<char>(c)) : escaped;
    }
    return out;
}

std::string SignatureCheck::find_fault(const env::ServerRequest& request) const {
    const auto given = request.headers.find("authorization");
    if (given == request.headers.end() || !given->second.starts_with("AWS4-HMAC-SHA256 ")) return "AccessDenied";
    const std::string instant = request.headers.contains("x-amz-date") ? request.headers.at("x-amz-date") : "";
    const std::string scope = instant.substr(0, 8) + "/" + region + "/s3/aws4_request";
    if (part_of(given->second, "Credential") != access_key_id + "/" + scope) return "InvalidAccessKeyId";

    std::string text = request.method + "\n" + encode(request.path, true) + "\n";
    std::string query;  // a multimap is sorted by name, and no name is used twice
    for (const auto& [name, value] : request.query) {
        query += (query.empty() ? "" : "&") + encode(name, false) + "=" + encode(value, false);
    }
    text += query + "\n";
    const std::string names = part_of(given->second, "SignedHeaders");
    bool has_host = false;
    for (const std::string_view name : split(names, ';')) {
        const auto header = request.headers.find(std::string(name));
        if (header == request.headers.end()) return "SignatureDoesNotMatch";
        text += std::string(name) + ":" + std::string(trim(header->second)) + "\n";
        has_host = has_host || name == "host";
    }
    // Every header of S3's own has to be under the signature.
    for (const auto& header : request.headers) {
        const bool is_own = header.first.starts_with("x-amz-");
        if (is_own && (";" + names + ";").find(";" + header.first + ";") == std::string::npos) return "AccessDenied";
    }
    if (!has_host || !request.headers.contains("x-amz-content-sha256")) return "AccessDenied";
    text += "\n" + names + "\n" + request.headers.at("x-amz-content-sha256");

    std::string key = "AWS4" + secret;
    for (const std::string& step : {instant.substr(0, 8), region, std::string("s3"), std::string("aws4_request")}) {
        key = keyed(key, step);
    }
    const std::string to_sign = "AWS4-HMAC-SHA256\n" + instant + "\n" + scope + "\n" + digest_hex(text);
    return to_hex(keyed(key, to_sign)) == part_of(given->second, "Signature") ? "" : "SignatureDoesNotMatch";
}

}  // namespace aeterna::repository::testing
