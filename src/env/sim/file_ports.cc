// Files on the virtual disk, as one process sees them; its locks end with it.
#include <fmt/format.h>

#include "env/sim/ports.h"

namespace aeterna::sim {
namespace {

Error missing(std::string_view verb, const std::string& path) {
    return make_error(ErrorCode::kNotFound,
                      fmt::format("{} '{}': No such file or directory", verb, path));
}

class SimAppendFile final : public env::AppendFile {
  public:
    SimAppendFile(Place place, std::string path) : place_(place), path_(std::move(path)) {}
    Status append(std::string_view bytes) override {
        Disk::Node* node = place_.is_dead() ? nullptr : place_.world.disk.find(path_);
        if (node == nullptr)
            return make_error(ErrorCode::kIo, fmt::format("write '{}': it is gone", path_));
        if (place_.world.disk.is_full()) {
            return make_error(ErrorCode::kIo,
                              fmt::format("write '{}': No space left on device", path_));
        }
        node->content += bytes;
        return {};
    }
    Status sync() override {
        Disk::Node* node = place_.is_dead() ? nullptr : place_.world.disk.find(path_);
        if (node == nullptr)
            return make_error(ErrorCode::kIo, fmt::format("sync '{}': it is gone", path_));
        node->durable = node->content;
        return {};
    }

  private:
    Place place_;
    std::string path_;
};

class SimFileLock final : public env::FileLock {
  public:
    SimFileLock(Place place, std::string path) : place_(place), path_(std::move(path)) {
        // The process may die before this object ends: then the lock is somebody else's.
        auto released = released_;
        place_.process.on_death.emplace_back([released, &world = place_.world, path = path_] {
            if (!std::exchange(*released, true)) world.disk.unlock(path);
        });
    }
    ~SimFileLock() override {
        if (!std::exchange(*released_, true)) place_.world.disk.unlock(path_);
    }

  private:
    Place place_;
    std::string path_;
    std::shared_ptr<bool> released_ = std::make_shared<bool>(false);
};

class SimFiles final : public env::Files {
  public:
    SimFiles(Place place, std::map<std::string, std::string>& variables)
        : place_(place), variables_(variables) {}

    Result<std::string> read(const std::string& given, std::size_t limit_bytes) override {
        const std::string path = Disk::normal(given);
        const Disk::Node* node = disk().find(path);
        if (place_.is_dead()) return place_.dead(given);
        if (node == nullptr) return missing("read", path);
        if (node->is_directory)
            return make_error(ErrorCode::kIo, fmt::format("'{}' is no regular file", path));
        if (node->content.size() > limit_bytes) {
            return make_error(ErrorCode::kIo,
                              fmt::format("'{}' is larger than {} bytes", path, limit_bytes));
        }
        return node->content;
    }

    Result<std::string> read_tail(const std::string& path, std::size_t limit_bytes) override {
        AETERNA_ASSIGN(const std::string all, read(path, SIZE_MAX));
        return all.size() <= limit_bytes ? all : all.substr(all.size() - limit_bytes);
    }

    Status write_durable(const std::string& given, std::string_view content, int mode,
                         std::optional<env::Owner> owner) override {
        const std::string path = Disk::normal(given);
        const Duration takes = disk().write_takes ? disk().write_takes(place_.process, path) : Duration::zero();
        if (takes > Duration::zero())
            static_cast<void>(place_.world.scheduler.park(place_.world.now() + takes, {}, "its disk"));
        if (place_.is_dead()) return place_.dead(given);
        if (disk().is_full()) {
            return make_error(ErrorCode::kIo,
                              fmt::format("write '{}': No space left on device", path));
        }
        AETERNA_ASSIGN(Disk::Node * node, disk().make(path));
        if (node->is_directory)
            return make_error(ErrorCode::kIo, fmt::format("replace '{}': Is a directory", path));
        node->content = node->durable = std::string(content);
        node->mode = mode;
        if (owner) node->owner = *owner;
        return {};
    }

    Result<std::unique_ptr<env::AppendFile>> open_append(const std::string& given,
                                                         int mode) override {
        const std::string path = Disk::normal(given);
        if (place_.is_dead()) return place_.dead(given);
        const bool is_new = disk().find(path) == nullptr;
        AETERNA_ASSIGN(Disk::Node * node, disk().make(path));
        if (is_new) node->mode = mode;
        return std::make_unique<SimAppendFile>(place_, path);
    }

    Status make_directories(const std::string& given, int mode) override {
        const std::string path = Disk::normal(given);
        if (place_.is_dead()) return place_.dead(given);
        for (std::string at = path; at != "/"; at = Disk::parent_of(at)) {
            const Disk::Node* node = disk().find(at);
            if (node != nullptr && !node->is_directory) {
                return make_error(at == path ? ErrorCode::kAlreadyExists : ErrorCode::kNotFound,
                                  fmt::format("'{}' is no directory", at));
            }
        }
        disk().make_directories(path, mode);
        return {};
    }

    Result<std::vector<std::string>> list(const std::string& given) override {
        const std::string path = Disk::normal(given);
        if (place_.is_dead()) return place_.dead(given);
        const Disk::Node* node = disk().find(path);
        if (path != "/" && (node == nullptr || !node->is_directory)) return missing("list", path);
        return disk().list(path);
    }

    bool exists(const std::string& path) override {
        return !place_.is_dead() && disk().find(Disk::normal(path)) != nullptr;
    }

    Status remove(const std::string& given) override {
        const std::string path = Disk::normal(given);
        if (place_.is_dead()) return place_.dead(given);
        const Disk::Node* node = disk().find(path);
        if (node != nullptr && node->is_directory && disk().has_entries(path)) {
            return make_error(ErrorCode::kIo,
                              fmt::format("remove '{}': Directory not empty", path));
        }
        disk().remove(path);
        return {};
    }

    Status remove_tree(const std::string& given) override {
        const std::string path = Disk::normal(given);
        if (place_.is_dead()) return place_.dead(given);
        if (path == "/") return make_error(ErrorCode::kUsage, "refusing to remove '/'");
        disk().remove_tree(path);
        return {};
    }

    Status change_owner(const std::string& path, env::Owner owner) override {
        return change(path, [&](Disk::Node& node) { node.owner = owner; });
    }
    Status change_mode(const std::string& path, int mode) override {
        return change(path, [&](Disk::Node& node) { node.mode = mode; });
    }
    Result<env::Owner> owner(const std::string& path) override {
        const Disk::Node* node = disk().find(Disk::normal(path));
        if (node == nullptr) return missing("look at", path);
        return node->owner;
    }
    std::string canonical(const std::string& path) override {
        return Disk::normal(path.starts_with('/') ? path
                                                  : place_.process.working_directory + "/" + path);
    }

    // A simulated disk never fills.
    Result<env::Room> room(const std::string&) override { return env::Room{1ULL << 40, 1, 1ULL << 40}; }

    Result<std::unique_ptr<env::FileLock>> lock(const std::string& given) override {
        const std::string path = Disk::normal(given);
        if (place_.is_dead()) return place_.dead(given);
        AETERNA_TRY(disk().make(path));
        if (!disk().lock(path)) {
            return make_error(ErrorCode::kLocked, fmt::format("'{}' is locked", path),
                              "Another process holds it; wait for it to end.");
        }
        return std::make_unique<SimFileLock>(place_, path);
    }

    std::optional<std::string> environment_variable(const std::string& name) override {
        const auto found = variables_.find(name);
        if (found == variables_.end()) return std::nullopt;
        return found->second;
    }

  private:
    Disk& disk() { return place_.world.disk; }
    template <class Change>
    Status change(const std::string& given, Change change) {
        if (place_.is_dead()) return place_.dead(given);
        Disk::Node* node = disk().find(Disk::normal(given));
        if (node == nullptr) return missing("change", given);
        change(*node);
        return {};
    }

    Place place_;
    std::map<std::string, std::string>& variables_;
};

}  // namespace

std::unique_ptr<env::Files> make_files(Place place, std::map<std::string, std::string>& variables) {
    return std::make_unique<SimFiles>(place, variables);
}

}  // namespace aeterna::sim
