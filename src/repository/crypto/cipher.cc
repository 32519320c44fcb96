#include "repository/crypto/cipher.h"

#include <array>
#include <climits>

#include "base/check.h"

namespace aeterna::repository {
namespace {

// Little-endian, padded with zeros to the 96 bits that GCM takes as they are.
std::array<unsigned char, 12> nonce_bytes(std::uint64_t nonce) {
    std::array<unsigned char, 12> bytes{};
    for (int i = 0; i < 8; ++i) bytes[static_cast<std::size_t>(i)] = static_cast<unsigned char>(nonce >> (8 * i));
    return bytes;
}

const unsigned char* in(Bytes bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* out(std::span<char> bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

Cipher::Cipher(const SecretKey& key) : sealing_(::EVP_CIPHER_CTX_new()), opening_(::EVP_CIPHER_CTX_new()) {
    AETERNA_CHECK(sealing_ != nullptr && opening_ != nullptr);
    AETERNA_CHECK(::EVP_EncryptInit_ex(sealing_.get(), ::EVP_aes_256_gcm(), nullptr, key.data(), nullptr) == 1);
    AETERNA_CHECK(::EVP_DecryptInit_ex(opening_.get(), ::EVP_aes_256_gcm(), nullptr, key.data(), nullptr) == 1);
}

void Cipher::seal(std::uint64_t nonce, Bytes associated, Bytes plain, std::span<char> sealed) {
    AETERNA_CHECK(sealed.size() == plain.size() + kTagBytes && plain.size() < INT_MAX);
    EVP_CIPHER_CTX* context = sealing_.get();
    int length = 0;
    AETERNA_CHECK(::EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce_bytes(nonce).data()) == 1);
    AETERNA_CHECK(
        ::EVP_EncryptUpdate(context, nullptr, &length, in(associated), static_cast<int>(associated.size())) == 1);
    AETERNA_CHECK(
        ::EVP_EncryptUpdate(context, out(sealed), &length, in(plain), static_cast<int>(plain.size())) == 1);
    AETERNA_CHECK(::EVP_EncryptFinal_ex(context, out(sealed) + plain.size(), &length) == 1);
    AETERNA_CHECK(::EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes),
                                        out(sealed) + plain.size()) == 1);
}

Status Cipher::open(std::uint64_t nonce, Bytes associated, Bytes sealed, std::span<char> plain) {
    const Error damaged = make_error(ErrorCode::kCorrupt, "sealed bytes do not open");
    if (sealed.size() < kTagBytes || sealed.size() >= INT_MAX) return damaged;
    const std::size_t bytes = sealed.size() - kTagBytes;
    AETERNA_CHECK(plain.size() == bytes);
    EVP_CIPHER_CTX* context = opening_.get();
    int length = 0;
    AETERNA_CHECK(::EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce_bytes(nonce).data()) == 1);
    // The tag must stand before the last call; OpenSSL only reads it, whatever the signature says.
    AETERNA_CHECK(::EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes),
                                        const_cast<char*>(sealed.data()) + bytes) == 1);
    AETERNA_CHECK(
        ::EVP_DecryptUpdate(context, nullptr, &length, in(associated), static_cast<int>(associated.size())) == 1);
    if (::EVP_DecryptUpdate(context, out(plain), &length, in(sealed), static_cast<int>(bytes)) != 1) return damaged;
    unsigned char none[16];
    if (::EVP_DecryptFinal_ex(context, none, &length) != 1) return damaged;
    return {};
}

}  // namespace aeterna::repository
