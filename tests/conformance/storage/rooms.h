// Rooms: each storage driver behind one face, for the suite that all of them must pass.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/env.h"
#include "repository/storage/storage.h"

namespace aeterna::repository::testing {

class Room {
  public:
    virtual ~Room() = default;
    // A driver of its own on the same place: what another process would hold. Not null.
    [[nodiscard]] virtual std::unique_ptr<Storage> open() = 0;
    // Begins an object and dies before commit.
    virtual void abandon(const std::string& name) = 0;
    // Whether something unfinished can be left behind at all.
    [[nodiscard]] virtual bool can_abandon() const { return true; }
    // How coarse the storage's times are.
    [[nodiscard]] virtual Duration clock_resolution() const { return Duration(0); }
    // More than one part of a large object, more than one page of a listing.
    [[nodiscard]] virtual std::size_t large_bytes() const { return 20U << 20; }
};

struct RoomKind {
    std::string name;
    std::function<std::unique_ptr<Room>()> make;  // null: not to be had here, for the reason in `missing`
    std::string missing;
};

// Every driver, also those that cannot run here.
[[nodiscard]] std::vector<RoomKind> room_kinds();

[[nodiscard]] const env::Env& real();
[[nodiscard]] env::Context within(Duration duration, std::stop_token stop = {});

}  // namespace aeterna::repository::testing
