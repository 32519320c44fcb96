#include "power_loss_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

namespace aeterna::repository::testing {
namespace {

Error missing(const std::string& path) { return make_error(ErrorCode::kNotFound, fmt::format("no '{}'", path)); }

std::string last_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// A reproducible coin.
class Coin {
  public:
    explicit Coin(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15U + 1) {}
    bool toss() {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return (state_ >> 63) != 0;
    }

  private:
    std::uint64_t state_;
};

}  // namespace

std::string Survival::describe() const {
    if (seed != 0) return fmt::format("coins of seed {}", seed);
    return fmt::format("unsynced names {}, contents {}", names ? "kept" : "lost", contents ? "kept" : "lost");
}

class PowerLossDisk::File final : public env::OpenFile {
  public:
    File(PowerLossDisk& disk, NodePtr node) : disk_(disk), node_(std::move(node)) {}
    Status write_at(std::uint64_t offset, std::span<const char> bytes) override {
        AETERNA_TRY(disk_.count_call(true));
        if (node_->content.size() < offset + bytes.size()) node_->content.resize(offset + bytes.size());
        std::copy(bytes.begin(), bytes.end(), node_->content.begin() + static_cast<std::ptrdiff_t>(offset));
        node_->modified = disk_.tick();
        return {};
    }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
        if (offset >= node_->content.size()) return std::size_t{0};
        return node_->content.copy(into.data(), into.size(), offset);
    }
    void start_writeback(std::uint64_t, std::uint64_t) override {}
    Status sync_data() override {
        AETERNA_TRY(disk_.count_call(false));
        if (!disk_.lies_.sync_data) node_->durable = node_->content;
        return {};
    }
    Status touch() override {
        AETERNA_TRY(disk_.count_call(false));
        node_->modified = disk_.tick();
        return {};
    }
    Result<env::FileStat> stat() override { return env::FileStat{node_->content.size(), node_->modified}; }

  private:
    PowerLossDisk& disk_;
    NodePtr node_;
};

PowerLossDisk::PowerLossDisk() : root_(std::make_shared<Node>()) { root_->is_directory = true; }

WallTime PowerLossDisk::tick() { return from_unix_us(1'772'359'200'000'000 + 1000 * ++ticks_); }

Status PowerLossDisk::count_call(bool allocates) {
    const std::uint64_t call = calls_++;
    if (call >= cut_at_) return make_error(ErrorCode::kIo, "the power is gone");
    if (allocates && full_from_ && call >= *full_from_) return make_error(ErrorCode::kNoSpace, "the disk is full");
    return {};
}

PowerLossDisk::NodePtr PowerLossDisk::find(const std::string& path) const {
    NodePtr node = root_;
    std::size_t at = 0;
    while (node != nullptr && at < path.size()) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        if (end > at) {
            const auto found = node->names.find(path.substr(at, end - at));
            node = found == node->names.end() ? nullptr : found->second;
        }
        at = end + 1;
    }
    return node;
}

Result<PowerLossDisk::NodePtr> PowerLossDisk::directory_of(const std::string& path) const {
    NodePtr node = find(path.substr(0, path.rfind('/')));
    if (node == nullptr || !node->is_directory) return missing(path);
    return node;
}

Result<std::unique_ptr<env::OpenFile>> PowerLossDisk::open(const std::string& path) {
    NodePtr node = find(path);
    if (node == nullptr || node->is_directory) return missing(path);
    return std::make_unique<File>(*this, std::move(node));
}
Result<std::unique_ptr<env::OpenFile>> PowerLossDisk::open_for_reading(const std::string& path) { return open(path); }
Result<std::unique_ptr<env::OpenFile>> PowerLossDisk::open_for_writing(const std::string& path) { return open(path); }

Result<std::unique_ptr<env::OpenFile>> PowerLossDisk::create(const std::string& path, int) {
    AETERNA_TRY(count_call(true));
    AETERNA_ASSIGN(const NodePtr directory, directory_of(path));
    auto& place = directory->names[last_of(path)];
    if (place != nullptr) return make_error(ErrorCode::kAlreadyExists, path);
    place = std::make_shared<Node>();
    place->modified = tick();
    return std::make_unique<File>(*this, place);
}

Status PowerLossDisk::make_directory(const std::string& path, int) {
    AETERNA_TRY(count_call(true));
    AETERNA_ASSIGN(const NodePtr directory, directory_of(path));
    auto& place = directory->names[last_of(path)];
    if (place != nullptr) return make_error(ErrorCode::kAlreadyExists, path);
    place = std::make_shared<Node>();
    place->is_directory = true;
    return {};
}

Status PowerLossDisk::rename(const std::string& from, const std::string& to, bool may_replace) {
    AETERNA_TRY(count_call(false));
    AETERNA_ASSIGN(const NodePtr source, directory_of(from));
    AETERNA_ASSIGN(const NodePtr target, directory_of(to));
    const auto found = source->names.find(last_of(from));
    if (found == source->names.end()) return missing(from);
    const NodePtr node = found->second;
    if (!may_replace && target->names.contains(last_of(to))) return make_error(ErrorCode::kAlreadyExists, to);
    source->names.erase(found);
    target->names[last_of(to)] = node;
    return {};
}
Status PowerLossDisk::rename_new(const std::string& from, const std::string& to) { return rename(from, to, false); }
Status PowerLossDisk::rename_over(const std::string& from, const std::string& to) { return rename(from, to, true); }

Status PowerLossDisk::remove_file(const std::string& path) {
    AETERNA_TRY(count_call(false));
    AETERNA_ASSIGN(const NodePtr directory, directory_of(path));
    if (directory->names.erase(last_of(path)) == 0) return missing(path);
    return {};
}

Result<env::FileStat> PowerLossDisk::stat(const std::string& path) {
    const NodePtr node = find(path);
    if (node == nullptr || node->is_directory) return missing(path);
    return env::FileStat{node->content.size(), node->modified};
}

Result<std::vector<env::DirectoryEntry>> PowerLossDisk::list(const std::string& directory) {
    const NodePtr node = find(directory);
    if (node == nullptr || !node->is_directory) return missing(directory);
    std::vector<env::DirectoryEntry> entries;
    for (const auto& [name, child] : node->names) {
        entries.push_back({name, child->is_directory ? env::EntryKind::kDirectory : env::EntryKind::kFile});
    }
    std::reverse(entries.begin(), entries.end());  // in no order
    return entries;
}

Status PowerLossDisk::sync_directory(const std::string& path) {
    AETERNA_TRY(count_call(false));
    const NodePtr node = find(path);
    if (node == nullptr || !node->is_directory) return missing(path);
    if (!lies_.sync_directory) node->durable_names = node->names;
    return {};
}

std::unique_ptr<PowerLossDisk> PowerLossDisk::survive(const Survival& survival) const {
    Coin coin(survival.seed);
    const auto keeps = [&](bool plain) { return survival.seed == 0 ? plain : coin.toss(); };
    std::map<const Node*, NodePtr> copies;
    const std::function<NodePtr(const NodePtr&)> copy = [&](const NodePtr& node) -> NodePtr {
        NodePtr& made = copies[node.get()];
        if (made != nullptr) return made;
        made = std::make_shared<Node>();
        const NodePtr result = made;
        result->is_directory = node->is_directory;
        result->modified = node->modified;
        // Kept or lost as a whole; half of it would be found by the same checks.
        result->content = keeps(survival.contents) ? node->content : node->durable;
        result->durable = result->content;
        std::set<std::string> all;
        for (const auto& entry : node->names) all.insert(entry.first);
        for (const auto& entry : node->durable_names) all.insert(entry.first);
        for (const std::string& name : all) {
            const auto live = node->names.find(name);
            const auto durable = node->durable_names.find(name);
            const NodePtr now = live == node->names.end() ? nullptr : live->second;
            const NodePtr then = durable == node->durable_names.end() ? nullptr : durable->second;
            const NodePtr survivor = now == then || keeps(survival.names) ? now : then;
            if (survivor != nullptr) result->names[name] = copy(survivor);
        }
        result->durable_names = result->names;
        return result;
    };
    auto disk = std::make_unique<PowerLossDisk>();
    disk->root_ = copy(root_);
    disk->ticks_ = ticks_;
    return disk;
}

std::size_t PowerLossDisk::count_files() const {
    const std::function<std::size_t(const Node&)> count = [&](const Node& node) {
        std::size_t files = node.is_directory ? 0 : 1;
        for (const auto& entry : node.names) files += count(*entry.second);
        return files;
    };
    return count(*root_);
}

}  // namespace aeterna::repository::testing
