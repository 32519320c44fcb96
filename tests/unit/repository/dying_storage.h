// A storage that dies, or that lets something happen, at a chosen call: the tests choose every one.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "repository/storage/storage.h"

namespace aeterna::repository::testing {

// Dies at the nth changing call: before it, or right after it without an answer. A dead storage answers nothing.
class DyingStorage final : public Storage {
  public:
    DyingStorage(Storage& inner, int dies_at, bool does_it_first)
        : inner_(inner), left_(dies_at), does_it_(does_it_first) {}
    // Lives on, but runs `hook` before its nth changing call.
    DyingStorage(Storage& inner, int calls_at, std::function<void()> hook)
        : inner_(inner), left_(calls_at), does_it_(false), hook_(std::move(hook)) {}
    [[nodiscard]] bool has_died() const { return dead_; }

    std::string describe() const override { return inner_.describe(); }
    Result<std::unique_ptr<ObjectWriter>> create(const std::string& name, const env::Context& context) override {
        if (dead_) return death();
        AETERNA_ASSIGN(auto writer, inner_.create(name, context));
        return std::make_unique<Writer>(*this, std::move(writer));
    }
    Status put(const std::string& name, std::span<const char> bytes, PutMode mode, const env::Context& context) override {
        return call([&] { return inner_.put(name, bytes, mode, context); });
    }
    Result<std::size_t> read(const std::string& name, std::uint64_t offset, std::span<char> into,
                             const env::Context& context) override {
        if (dead_) return death();
        return inner_.read(name, offset, into, context);
    }
    Result<ObjectInfo> stat(const std::string& name, const env::Context& context) override {
        if (dead_) return death();
        return inner_.stat(name, context);
    }
    Status list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                const env::Context& context) override {
        if (dead_) return death();
        return inner_.list(prefix, found, context);
    }
    Status remove(const std::string& name, const env::Context& context) override {
        return call([&] { return inner_.remove(name, context); });
    }
    Result<WallTime> now(const env::Context& context) override { return inner_.now(context); }
    Result<std::size_t> sweep_unfinished(WallTime older, const env::Context& context) override {
        return inner_.sweep_unfinished(older, context);
    }

  private:
    class Writer final : public ObjectWriter {
      public:
        Writer(DyingStorage& owner, std::unique_ptr<ObjectWriter> inner) : owner_(owner), inner_(std::move(inner)) {}
        Status append(std::span<const char> bytes, const env::Context& context) override {
            return owner_.call([&] { return inner_->append(bytes, context); });
        }
        Status commit(const env::Context& context) override {
            return owner_.call([&] { return inner_->commit(context); });
        }

      private:
        DyingStorage& owner_;
        std::unique_ptr<ObjectWriter> inner_;
    };

    static Error death() { return make_error(ErrorCode::kConnectionLost, "dead", "", Effect::kUnknown); }
    template <class Work>
    Status call(Work work) {
        if (dead_) return death();
        const int left = left_.fetch_sub(1);
        if (left == 1 && hook_) hook_();
        if (left > 1 || hook_) return work();
        if (does_it_ && !dead_) static_cast<void>(work().has_value());
        dead_ = true;
        return death();
    }

    Storage& inner_;
    std::atomic<int> left_;
    const bool does_it_;
    const std::function<void()> hook_;
    std::atomic<bool> dead_{false};
};

}  // namespace aeterna::repository::testing
