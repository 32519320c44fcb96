// Hashes, keys and the cipher. The expected values were computed by Python's hmac and hashlib from the definitions.
#include <gtest/gtest.h>

#include "repository/crypto/cipher.h"
#include "repository/crypto/key_envelope.h"
#include "repository/crypto/keyed_hash.h"
#include "samples.h"

namespace aeterna::repository {
namespace {

using testing::counting_key;
using testing::Sequence;

TEST(KeyedHash, IsHmacSha256OrKeyedBlake2b) {
    const KeyedHash sha(HashKind::kSha256, counting_key()), blake(HashKind::kBlake2b, counting_key());
    EXPECT_EQ(sha(bytes_of("aeterna")).to_hex(), "8ca1ab4b58a15aae383fc7c89be0e09f465502ece317a77396c81e3c9f53633f");
    EXPECT_EQ(blake(bytes_of("aeterna")).to_hex(), "d8d4ae947205e3d32d5ea33f7779284d113190d44ebc95a2db41516c0c6836e2");
    for (const KeyedHash& hash : {sha, blake}) {
        EXPECT_EQ(hash.hash({bytes_of("aet"), bytes_of("erna")}), hash(bytes_of("aeterna")));
        EXPECT_NE(hash(bytes_of("")), hash(bytes_of("aeterna")));
    }
}

// Texts one by one are OpenSSL's work; many go through the lanes of wide registers where there are any.
TEST(KeyedHash, ManyTextsAreHashedAsOneByOne) {
    for (const HashKind kind : {HashKind::kSha256, HashKind::kBlake2b}) {
        const KeyedHash hash(kind, counting_key());
        for (const std::size_t bytes : {0, 1, 64, 100, 128, 8192}) {
            for (const std::size_t count : {0, 1, 7, 8, 9, 15, 16, 17, 31, 40}) {
                const std::string text = testing::noise(bytes * count, bytes + count);
                std::vector<Bytes> texts;
                std::vector<Id> expected, ids(count);
                for (std::size_t i = 0; i < count; ++i) {
                    texts.push_back(bytes_of(text).subspan(i * bytes, bytes));
                    expected.push_back(hash(texts.back()));
                }
                hash.hash_each(texts, ids);
                EXPECT_EQ(ids, expected) << count << " texts of " << bytes << " bytes, " << hash_name(kind);
            }
        }
    }
}

TEST(KeyedHash, KindsHaveNamesThatComeBack) {
    for (const HashKind kind : {HashKind::kSha256, HashKind::kBlake2b}) EXPECT_EQ(hash_from_name(hash_name(kind)), kind);
    EXPECT_FALSE(hash_from_name("md5"));
}

TEST(DeriveKey, IsHkdf) {
    EXPECT_EQ(to_hex(derive_key(counting_key(), "salt", "info").view()), "64cc2a23b7a1da4310420350405fdf5d632cb9bda3700d753e96cbcfeb81d449");
    EXPECT_NE(derive_key(counting_key(), "salt", "other").view(), derive_key(counting_key(), "salt", "info").view());
}

TEST(Cipher, OpensWhatItSealedAndNothingElse) {
    Cipher cipher(counting_key());
    const std::string plain = "eight thousand rows";
    std::string sealed(plain.size() + kTagBytes, '\0'), opened(plain.size(), '\0');
    for (const std::uint64_t nonce : {0ULL, 7ULL, 1ULL << 40}) {  // a context is used again and again
        cipher.seal(nonce, bytes_of("name"), bytes_of(plain), sealed);
        ASSERT_TRUE(cipher.open(nonce, bytes_of("name"), bytes_of(sealed), opened));
        EXPECT_EQ(opened, plain);
        EXPECT_EQ(cipher.open(nonce + 1, bytes_of("name"), bytes_of(sealed), opened).error().code, ErrorCode::kCorrupt);
        EXPECT_EQ(cipher.open(nonce, bytes_of("nam"), bytes_of(sealed), opened).error().code, ErrorCode::kCorrupt);
        for (std::size_t i = 0; i < sealed.size(); ++i) {
            std::string bent = sealed;
            bent[i] = static_cast<char>(bent[i] ^ 1);
            EXPECT_FALSE(cipher.open(nonce, bytes_of("name"), bytes_of(bent), opened)) << i;
        }
    }
}

class KeyEnvelope : public ::testing::Test {
  protected:
    const PassphraseCost cheap_{1, 8192};
    Sequence random_{1};
    const MasterKey master_{"00ff", HashKind::kBlake2b, counting_key()};
    const Credential key_ = make_key(random_);
    const Credential passphrase_ = parse_credential("correct horse\nignored").value();
};

TEST_F(KeyEnvelope, GivesTheMasterKeyToItsOwnCredentialOnly) {
    for (const Credential& credential : {key_, passphrase_}) {
        const std::string envelope = wrap_master_key(master_, credential, {"ops", "2026"}, random_, cheap_).value();
        const MasterKey opened = unwrap_master_key(envelope, credential).value();
        EXPECT_EQ(opened.repository_id, master_.repository_id);
        EXPECT_EQ(opened.hash, master_.hash);
        EXPECT_EQ(opened.key.view(), master_.key.view());
        for (const Credential& other : {make_key(random_), parse_credential("wrong").value()}) {
            EXPECT_EQ(unwrap_master_key(envelope, other).error().code, ErrorCode::kWrongKey);
        }
        EXPECT_EQ(describe_envelope(envelope).value().label, "ops");
    }
}

TEST_F(KeyEnvelope, CallsDamageDamageWhateverTheKey) {
    const std::string envelope = wrap_master_key(master_, key_, {"ops", "2026"}, random_).value();
    for (std::size_t i = 0; i + 1 < envelope.size(); ++i) {
        std::string bent = envelope;
        bent[i] = static_cast<char>(bent[i] ^ 4);
        const auto opened = unwrap_master_key(bent, key_);
        ASSERT_FALSE(opened) << i << ' ' << bent;
        EXPECT_NE(opened.error().code, ErrorCode::kWrongKey) << i << ' ' << bent;
        EXPECT_FALSE(unwrap_master_key(envelope.substr(0, i), key_)) << i;
    }
}

TEST_F(KeyEnvelope, AKeyFileComesBackFromItsText) {
    const Credential again = parse_credential(key_file_text(key_)).value();
    EXPECT_EQ(again.kind, Credential::Kind::kKeyFile);
    EXPECT_EQ(again.secret.reveal(), key_.secret.reveal());
    EXPECT_EQ(passphrase_.secret.reveal(), "correct horse");
    for (const char* bad : {"", "\nlater", "aeterna-key-1:", "aeterna-key-1:AAAA", "aeterna-key-1:!"}) {
        EXPECT_EQ(parse_credential(bad).error().code, ErrorCode::kUsage) << bad;
    }
}

TEST_F(KeyEnvelope, RefusesANewerVersionAsThat) {
    std::string envelope = wrap_master_key(master_, key_, {"ops", "2026"}, random_).value();
    const std::size_t place = envelope.find("\"version\":1");
    ASSERT_NE(place, std::string::npos);
    envelope[place + 10] = '9';
    EXPECT_EQ(unwrap_master_key(envelope, key_).error().code, ErrorCode::kConfiguration);
}

}  // namespace
}  // namespace aeterna::repository
