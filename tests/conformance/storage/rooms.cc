#include "rooms.h"

#include <stdlib.h>

#include <filesystem>

#include "env/posix/file_system.h"
#include "env/posix/posix_env.h"
#include "repository/storage/local.h"
#include "repository/storage/memory.h"
#include "s3_servers.h"

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

// A prefix of its own in the bucket, so that what one test leaves does not disturb the next.
class S3Room final : public Room {
  public:
    explicit S3Room(std::shared_ptr<S3Server> server)
        : server_(std::move(server)), credentials_(server_->place()),
          prefix_("test/" + std::to_string(real().random.next())) {}
    std::unique_ptr<Storage> open() override {
        const S3Ports ports{real().http, real().clock, real().random, real().threads, credentials_};
        auto opened = S3Storage::open(ports, options_for(server_->place(), prefix_));
        EXPECT_TRUE(opened) << opened.error().to_string();
        return std::move(*opened);
    }
    void abandon(const std::string& name) override {
        // The writer's process dies: for the server, nobody ever speaks of this upload again.
        const S3Place place = server_->place();
        const S3Options options = options_for(place, prefix_);
        const auto channel = make_signed_channel(real().http, real().clock, credentials_, options.endpoint);
        S3Request request;
        request.method = "POST";
        request.key = prefix_ + "/" + name;
        request.query = {{"uploads", ""}};
        const auto begun = channel->send(request, within(10s));
        ASSERT_TRUE(begun) << begun.error().to_string();
        ASSERT_EQ(begun->status, 200);
    }
    Duration clock_resolution() const override { return 1s; }
    std::size_t large_bytes() const override { return 3 * server_->place().smallest_part_bytes + (1U << 20); }

  private:
    std::shared_ptr<S3Server> server_;
    FixedCredentials credentials_;
    std::string prefix_;
};

std::unique_ptr<Room> make_versitygw_room() {
    // One server for all tests: it takes longer to start than most of them.
    static const std::shared_ptr<S3Server> server = start_versitygw(real(), *find_versitygw(real()));
    return std::make_unique<S3Room>(server);
}

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
        {"S3StandIn", [] { return std::make_unique<S3Room>(start_stand_in(real())); }, ""},
    };
}

RoomKind versitygw_kind() {
    return {"S3", find_versitygw(real()) ? make_versitygw_room : std::function<std::unique_ptr<Room>()>(),
            "versitygw is not built: scripts/build-versitygw (needs Go)"};
}

}  // namespace aeterna::repository::testing
