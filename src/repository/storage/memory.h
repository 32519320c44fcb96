// Storage in memory, for tests and rehearsals: gone with the process, otherwise as strict as the others.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "env/clock.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

class MemoryStorage final : public Storage {
  public:
    // kNoSpace once all objects together would be larger than `limit_bytes`. Writers must not outlive the storage.
    explicit MemoryStorage(const env::Clock& clock, std::uint64_t limit_bytes = UINT64_MAX);

    [[nodiscard]] std::string describe() const override { return "memory"; }
    Result<std::unique_ptr<ObjectWriter>> create(const std::string& name, const env::Context& context) override;
    Status put(const std::string& name, std::span<const char> bytes, PutMode mode,
               const env::Context& context) override;
    Result<std::size_t> read(const std::string& name, std::uint64_t offset, std::span<char> into,
                             const env::Context& context) override;
    Result<ObjectInfo> stat(const std::string& name, const env::Context& context) override;
    Status list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                const env::Context& context) override;
    Status remove(const std::string& name, const env::Context& context) override;
    Result<WallTime> now(const env::Context& context) override;
    // Unfinished writers live in their owner's memory only: there is never anything to sweep.
    Result<std::size_t> sweep_unfinished(WallTime older_than, const env::Context& context) override;

  private:
    struct Object {
        std::shared_ptr<const std::string> bytes;  // shared: a read goes on while an overwrite happens
        WallTime modified{};
    };
    class Writer;

    Status check(const std::string& name, const env::Context& context) const;
    Status store(const std::string& name, std::string bytes, PutMode mode);
    [[nodiscard]] Result<Object> find(const std::string& name);

    const env::Clock& clock_;
    const std::uint64_t limit_bytes_;
    std::mutex mutex_;
    std::map<std::string, Object> objects_;
    std::uint64_t total_bytes_ = 0;
};

}  // namespace aeterna::repository
