// operator new and delete of sim_test: free lists by size over slabs that are never given back. A fifth of a schedule's
// time went into the general allocator, which serves any thread; here there is one. What a piece is stands at the head
// of its slab, so that pieces lie close together. Not under a sanitizer, which wants to see every allocation.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

constexpr std::size_t kStep = 16;
constexpr std::size_t kLargest = 1024;  // what is larger is malloc's
constexpr std::size_t kSlabBytes = std::size_t{1} << 16;
constexpr std::size_t kArenaBytes = std::size_t{1} << 32;  // of addresses; memory is taken as it is used

struct Free {
    Free* next;
};
struct alignas(kStep) Slab {
    std::size_t list;
};
struct List {
    Free* first = nullptr;  // given back
    char* fresh = nullptr;  // never handed out
    char* end = nullptr;
};

List lists[kLargest / kStep + 1];
std::uintptr_t arena_begin = 0, arena_next = 0;

char* open_slab(std::size_t list) {
    if (arena_begin == 0) {
        void* const at = ::mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        arena_begin = reinterpret_cast<std::uintptr_t>(at);
        arena_next = (arena_begin + kSlabBytes - 1) / kSlabBytes * kSlabBytes;
    }
    if (arena_next + kSlabBytes > arena_begin + kArenaBytes) throw std::bad_alloc();
    auto* const slab = reinterpret_cast<Slab*>(arena_next);
    arena_next += kSlabBytes;
    slab->list = list;
    return reinterpret_cast<char*>(slab + 1);
}

void* take(std::size_t bytes) {
    if (bytes > kLargest) {
        void* const piece = std::malloc(bytes);
        if (piece == nullptr) throw std::bad_alloc();
        return piece;
    }
    const std::size_t index = bytes == 0 ? 1 : (bytes + kStep - 1) / kStep;
    List& list = lists[index];
    if (Free* const piece = list.first) {
        list.first = piece->next;
        return piece;
    }
    const std::size_t size = index * kStep;
    if (list.fresh == nullptr || list.fresh + size > list.end) {
        list.fresh = open_slab(index);
        list.end = list.fresh + (kSlabBytes - sizeof(Slab));
    }
    void* const piece = list.fresh;
    list.fresh += size;
    return piece;
}

void give_back(void* piece) noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(piece);
    if (at - arena_begin >= kArenaBytes || arena_begin == 0) return std::free(piece);
    List& list = lists[reinterpret_cast<const Slab*>(at / kSlabBytes * kSlabBytes)->list];
    auto* const free = static_cast<Free*>(piece);
    free->next = list.first;
    list.first = free;
}

}  // namespace

void* operator new(std::size_t bytes) { return take(bytes); }
void* operator new[](std::size_t bytes) { return take(bytes); }
void operator delete(void* piece) noexcept { give_back(piece); }
void operator delete[](void* piece) noexcept { give_back(piece); }
void operator delete(void* piece, std::size_t) noexcept { give_back(piece); }
void operator delete[](void* piece, std::size_t) noexcept { give_back(piece); }

#endif
