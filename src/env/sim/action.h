// Action: a move-only callable without arguments whose captures lie inside up to kInline bytes: the
// scheduler makes thousands of them per virtual minute, and std::function would allocate for most.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace aeterna::sim {

class Action {
  public:
    Action() = default;
    template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, Action>>>
    Action(F&& callable) {  // implicit, as std::function is
        using Callable = std::decay_t<F>;
        if constexpr (sizeof(Callable) <= kInline &&
                      alignof(Callable) <= alignof(std::max_align_t) &&
                      std::is_nothrow_move_constructible_v<Callable>) {
            new (storage_) Callable(std::forward<F>(callable));
            table_ = &kInside<Callable>;
        } else {
            new (storage_) Callable*(new Callable(std::forward<F>(callable)));
            table_ = &kOutside<Callable>;
        }
    }
    Action(Action&& other) noexcept { take(other); }
    Action& operator=(Action&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    ~Action() { reset(); }

    void operator()() { table_->call(storage_); }
    explicit operator bool() const { return table_ != nullptr; }
    void reset() {
        if (table_ != nullptr) std::exchange(table_, nullptr)->destroy(storage_);
    }

  private:
    static constexpr std::size_t kInline = 64;
    struct Table {
        void (*call)(void*);
        void (*move)(void* to, void* from);
        void (*destroy)(void*);
    };
    template <class C>
    static constexpr Table kInside = {[](void* at) { (*static_cast<C*>(at))(); },
                                      [](void* to, void* from) {
                                          new (to) C(std::move(*static_cast<C*>(from)));
                                          static_cast<C*>(from)->~C();
                                      },
                                      [](void* at) { static_cast<C*>(at)->~C(); }};
    template <class C>
    static constexpr Table kOutside = {
        [](void* at) { (**static_cast<C**>(at))(); },
        [](void* to, void* from) { new (to) C*(*static_cast<C**>(from)); },
        [](void* at) { delete *static_cast<C**>(at); }};

    void take(Action& other) {
        if (other.table_ == nullptr) return;
        other.table_->move(storage_, other.storage_);
        table_ = std::exchange(other.table_, nullptr);
    }

    alignas(std::max_align_t) std::byte storage_[kInline];
    const Table* table_ = nullptr;
};

}  // namespace aeterna::sim
