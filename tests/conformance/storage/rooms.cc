#include "rooms.h"

#include <stdlib.h>

#include <filesystem>

#include "env/posix/file_system.h"
#include "env/posix/posix_env.h"
#include "repository/storage/local.h"
#include "repository/storage/memory.h"

namespace aeterna::repository::testing {
namespace {

class MemoryRoom final : public Room {
  public:
    std::unique_ptr<Storage> open() override { return std::make_unique<Shared>(storage_); }
    void abandon(const std::string&) override {}
    bool can_abandon() const override { return false; }

  private:
    // Memory has no second door: the same object, seen twice.
    class Shared final : public Storage {
      public:
        explicit Shared(Storage& inner) : inner_(inner) {}
        std::string describe() const override { return inner_.describe(); }
        Result<std::unique_ptr<ObjectWriter>> create(const std::string& name, const env::Context& context) override {
            return inner_.create(name, context);
        }
        Status put(const std::string& name, std::span<const char> bytes, PutMode mode,
                   const env::Context& context) override {
            return inner_.put(name, bytes, mode, context);
        }
        Result<std::size_t> read(const std::string& name, std::uint64_t offset, std::span<char> into,
                                 const env::Context& context) override {
            return inner_.read(name, offset, into, context);
        }
        Result<ObjectInfo> stat(const std::string& name, const env::Context& context) override {
            return inner_.stat(name, context);
        }
        Status list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                    const env::Context& context) override {
            return inner_.list(prefix, found, context);
        }
        Status remove(const std::string& name, const env::Context& context) override {
            return inner_.remove(name, context);
        }
        Result<WallTime> now(const env::Context& context) override { return inner_.now(context); }
        Result<std::size_t> sweep_unfinished(WallTime older_than, const env::Context& context) override {
            return inner_.sweep_unfinished(older_than, context);
        }

      private:
        Storage& inner_;
    };

    MemoryStorage storage_{real().clock};
};

class LocalRoom final : public Room {
  public:
    LocalRoom() {
        std::string pattern = "/var/tmp/aeterna-test-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
    }
    ~LocalRoom() override {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    std::unique_ptr<Storage> open() override {
        return std::make_unique<LocalStorage>(*files_, real().random, real().clock, directory_ + "/deep/repository/");
    }
    void abandon(const std::string& name) override {
        // What is left after the writer's process died: the destructor of this writer never sees the file.
        auto storage = open();
        auto writer = storage->create(name, within(10s));
        ASSERT_TRUE(writer);
        ASSERT_TRUE((*writer)->append(std::string_view("half"), within(10s)));
        const std::string root = directory_ + "/deep/repository";
        std::vector<std::filesystem::path> unfinished;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
            if (entry.path().filename().string().starts_with(".tmp-")) unfinished.push_back(entry.path());
        }
        ASSERT_EQ(unfinished.size(), 1U);
        std::filesystem::create_hard_link(unfinished[0], unfinished[0].parent_path() / ".tmp-0123456789abcdef");
    }

  private:
    std::unique_ptr<env::FileSystem> files_ = env::make_posix_file_system();
    std::string directory_;
};

}  // namespace

const env::Env& real() {
    static env::PosixEnv env(env::LogFormat::kText, LogLevel::kError);
    return env.env();
}

env::Context within(Duration duration, std::stop_token stop) {
    return {real().clock.now() + duration, std::move(stop), "test"};
}

std::vector<RoomKind> room_kinds() {
    return {
        {"Memory", [] { return std::make_unique<MemoryRoom>(); }, ""},
        {"Local", [] { return std::make_unique<LocalRoom>(); }, ""},
    };
}

}  // namespace aeterna::repository::testing
