// Bytes, keys and randomness that are the same in every run.
#pragma once

#include <cstdint>
#include <string>

#include "env/clock.h"
#include "repository/crypto/keys.h"

namespace aeterna::repository::testing {

// splitmix64: enough for samples, and the same on every machine.
class Sequence final : public env::Random {
  public:
    explicit Sequence(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() override {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }

  private:
    std::uint64_t state_;
};

// Incompressible.
inline std::string noise(std::size_t bytes, std::uint64_t seed) {
    Sequence sequence(seed);
    std::string text;
    text.reserve(bytes + 8);
    while (text.size() < bytes) {
        const std::uint64_t number = sequence.next();
        text.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
    text.resize(bytes);
    return text;
}

// Compressible like rows of a table.
inline std::string rows(std::size_t bytes, std::uint64_t seed) {
    Sequence sequence(seed);
    std::string text;
    while (text.size() < bytes) text += "row " + std::to_string(sequence.next() % 100000) + " is here; ";
    text.resize(bytes);
    return text;
}

// float32 as embeddings are: sums of noise around zero, the rest of the last one cut off.
inline std::string floats(std::size_t bytes, std::uint64_t seed) {
    Sequence sequence(seed);
    std::string text;
    text.reserve(bytes + 4);
    while (text.size() < bytes) {
        float value = 0;
        for (int i = 0; i < 4; ++i) value += static_cast<float>(sequence.next() >> 40) / (1 << 24) - 0.5F;
        value *= 0.07F;
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    text.resize(bytes);
    return text;
}

// Bytes 0, 1, 2 … as the master key of the vectors.
inline SecretKey counting_key() {
    SecretKey key;
    for (std::size_t i = 0; i < SecretKey::kBytes; ++i) key.data()[i] = static_cast<unsigned char>(i);
    return key;
}

}  // namespace aeterna::repository::testing
