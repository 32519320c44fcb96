// The fixture of the suite that every storage driver must pass: contract_objects_test.cc is about single objects,
// contract_place_test.cc about all of them together.
#pragma once

#include <gtest/gtest.h>

#include "rooms.h"

namespace aeterna::repository::testing {

inline std::span<const char> view(std::string_view text) { return {text.data(), text.size()}; }

// No byte pattern repeats, so that a part in the wrong place is seen.
inline std::string noise(std::size_t count, std::uint64_t seed) {
    std::string text(count, '\0');
    for (char& byte : text) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<char>(seed >> 56);
    }
    return text;
}

class StorageContract : public ::testing::TestWithParam<RoomKind> {
  protected:
    void SetUp() override {
        if (GetParam().make == nullptr) GTEST_SKIP() << GetParam().missing;
        room = GetParam().make();
        storage = room->open();
    }
    static env::Context soon() { return within(60s); }

    Status put(const std::string& name, std::string_view bytes, PutMode mode = PutMode::kIfAbsent) {
        return storage->put(name, view(bytes), mode, soon());
    }
    std::string get(const std::string& name) {
        const auto info = storage->stat(name, soon());
        if (!info) return "error: " + info.error().to_string();
        std::string bytes(info->bytes + 10, '\0');
        const auto count = storage->read(name, 0, bytes, soon());
        if (!count) return "error: " + count.error().to_string();
        bytes.resize(*count);
        return bytes;
    }
    std::vector<std::string> names(const std::string& prefix = "") {
        std::vector<std::string> found;
        const Status listed = storage->list(prefix, [&](const ObjectInfo& info) {
            found.push_back(info.name);
            return true;
        }, soon());
        EXPECT_TRUE(listed) << listed.error().to_string();
        return found;
    }
    static ErrorCode code_of(const Status& status) { return status ? ErrorCode::kInternal : status.error().code; }
    template <class T>
    static ErrorCode code_of(const Result<T>& result) {
        return result ? ErrorCode::kInternal : result.error().code;
    }

    std::unique_ptr<Room> room;
    std::unique_ptr<Storage> storage;
};

}  // namespace aeterna::repository::testing
