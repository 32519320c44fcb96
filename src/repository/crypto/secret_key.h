// SecretKey: 32 bytes that are wiped when they go out of use.
#pragma once

#include <sodium.h>

#include <array>
#include <cstring>
#include <string_view>

namespace aeterna::repository {

class SecretKey {
  public:
    static constexpr std::size_t kBytes = 32;

    SecretKey() = default;
    // Takes the first 32 bytes; shorter text leaves the rest zero.
    explicit SecretKey(std::string_view bytes) {
        std::memcpy(bytes_.data(), bytes.data(), std::min(bytes.size(), kBytes));
    }
    SecretKey(const SecretKey&) = default;
    SecretKey& operator=(const SecretKey&) = default;
    ~SecretKey() { ::sodium_memzero(bytes_.data(), bytes_.size()); }

    [[nodiscard]] const unsigned char* data() const { return bytes_.data(); }
    [[nodiscard]] unsigned char* data() { return bytes_.data(); }
    [[nodiscard]] std::string_view view() const {
        return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
    }

  private:
    std::array<unsigned char, kBytes> bytes_{};
};

}  // namespace aeterna::repository
