// Cipher: AES-256-GCM under one key, with OpenSSL's context kept between calls. The caller owes a nonce that this key
// never sees twice; here a key belongs to one pack or object and the nonce is the place in it.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "repository/crypto/secret_key.h"
#include "repository/id.h"

namespace aeterna::repository {

inline constexpr std::size_t kTagBytes = 16;

// One thread at a time.
class Cipher {
  public:
    explicit Cipher(const SecretKey& key);

    // Writes bytes.size() + kTagBytes to `sealed`: the ciphertext, then the tag.
    void seal(std::uint64_t nonce, Bytes associated, Bytes plain, std::span<char> sealed);
    // Writes sealed.size() - kTagBytes to `plain`. kCorrupt when key, nonce, associated data or any bit differs; then
    // `plain` holds nothing that may be used.
    Status open(std::uint64_t nonce, Bytes associated, Bytes sealed, std::span<char> plain);

  private:
    struct Free {
        void operator()(EVP_CIPHER_CTX* context) const { ::EVP_CIPHER_CTX_free(context); }
    };
    std::unique_ptr<EVP_CIPHER_CTX, Free> sealing_, opening_;
};

}  // namespace aeterna::repository
