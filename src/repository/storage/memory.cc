#include "repository/storage/memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "repository/storage/checks.h"

namespace aeterna::repository {

class MemoryStorage::Writer final : public ObjectWriter {
  public:
    Writer(MemoryStorage& storage, std::string name) : storage_(storage), name_(std::move(name)) {}

    Status append(std::span<const char> bytes, const env::Context& context) override {
        AETERNA_CHECK(!is_done_);
        AETERNA_TRY(check_running(storage_.clock_, context, name_));
        bytes_.append(bytes.data(), bytes.size());
        return {};
    }

    Status commit(const env::Context& context) override {
        AETERNA_CHECK(!is_done_);
        AETERNA_TRY(check_running(storage_.clock_, context, name_));
        is_done_ = true;
        return storage_.store(name_, std::move(bytes_), PutMode::kIfAbsent);
    }

  private:
    MemoryStorage& storage_;
    std::string name_;
    std::string bytes_;
    bool is_done_ = false;
};

MemoryStorage::MemoryStorage(const env::Clock& clock, std::uint64_t limit_bytes)
    : clock_(clock), limit_bytes_(limit_bytes) {}

Status MemoryStorage::check(const std::string& name, const env::Context& context) const {
    AETERNA_TRY(check_name(name));
    return check_running(clock_, context, name);
}

Result<MemoryStorage::Object> MemoryStorage::find(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    if (found != objects_.end()) return found->second;
    return make_error(ErrorCode::kNotFound, fmt::format("no object '{}' in memory", name));
}

Status MemoryStorage::store(const std::string& name, std::string bytes, PutMode mode) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    const std::uint64_t old_bytes = found == objects_.end() ? 0 : found->second.bytes->size();
    if (found != objects_.end() && mode == PutMode::kIfAbsent) {
        return make_error(ErrorCode::kAlreadyExists, fmt::format("object '{}' is there already", name));
    }
    const std::uint64_t others_bytes = total_bytes_ - old_bytes;
    if (bytes.size() > limit_bytes_ - others_bytes) {
        return make_error(ErrorCode::kNoSpace, fmt::format("no space for object '{}' in memory", name));
    }
    total_bytes_ = others_bytes + bytes.size();
    objects_[name] = {std::make_shared<const std::string>(std::move(bytes)), clock_.wall_now()};
    return {};
}

Result<std::unique_ptr<ObjectWriter>> MemoryStorage::create(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    return std::make_unique<Writer>(*this, name);
}

Status MemoryStorage::put(const std::string& name, std::span<const char> bytes, PutMode mode,
                          const env::Context& context) {
    AETERNA_TRY(check(name, context));
    return store(name, std::string(bytes.data(), bytes.size()), mode);
}

Result<std::size_t> MemoryStorage::read(const std::string& name, std::uint64_t offset, std::span<char> into,
                                        const env::Context& context) {
    AETERNA_TRY(check(name, context));
    AETERNA_ASSIGN(const Object object, find(name));
    const std::string& bytes = *object.bytes;
    if (offset >= bytes.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(into.size(), bytes.size() - offset);
    std::copy_n(bytes.data() + offset, count, into.data());
    return count;
}

Result<ObjectInfo> MemoryStorage::stat(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    AETERNA_ASSIGN(const Object object, find(name));
    return ObjectInfo{name, object.bytes->size(), object.modified};
}

Status MemoryStorage::list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                           const env::Context& context) {
    AETERNA_TRY(check_prefix(prefix));
    AETERNA_TRY(check_running(clock_, context, "list"));
    std::vector<ObjectInfo> page;  // the callback may call this storage again
    {
        const std::lock_guard lock(mutex_);
        for (auto entry = objects_.lower_bound(prefix); entry != objects_.end(); ++entry) {
            if (!entry->first.starts_with(prefix)) break;
            page.push_back({entry->first, entry->second.bytes->size(), entry->second.modified});
        }
    }
    for (const ObjectInfo& info : page) {
        AETERNA_TRY(check_running(clock_, context, "list"));
        if (!found(info)) break;
    }
    return {};
}

Status MemoryStorage::remove(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    if (found == objects_.end()) return {};
    total_bytes_ -= found->second.bytes->size();
    objects_.erase(found);
    return {};
}

Result<WallTime> MemoryStorage::now(const env::Context& context) {
    AETERNA_TRY(check_running(clock_, context, "now"));
    return clock_.wall_now();
}

Result<std::size_t> MemoryStorage::sweep_unfinished(WallTime, const env::Context& context) {
    AETERNA_TRY(check_running(clock_, context, "sweep"));
    return std::size_t{0};
}

}  // namespace aeterna::repository
