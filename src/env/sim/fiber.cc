#include "env/sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define AETERNA_OWN_SWITCH 1
#else
#include <ucontext.h>
#endif

namespace aeterna::sim {
namespace {

constexpr std::size_t kStackBytes = 256 << 10;

// A mapping whose lowest page faults.
class Stack {
  public:
    Stack() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
        base_ = ::mmap(nullptr, kStackBytes + page_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
        AETERNA_CHECK(base_ != MAP_FAILED);
        AETERNA_CHECK(::mprotect(base_, page_, PROT_NONE) == 0);
    }
    ~Stack() { ::munmap(base_, kStackBytes + page_); }
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;
    [[nodiscard]] char* low() const { return static_cast<char*>(base_) + page_; }
    [[nodiscard]] char* high() const { return low() + kStackBytes; }

  private:
    std::size_t page_;
    void* base_ = nullptr;
};

}  // namespace

#if defined(AETERNA_OWN_SWITCH)

// aeterna_sim_switch(from, to): pushes the callee-saved registers, keeps the stack pointer in *from
// and goes on at `to`. aeterna_sim_start: the first return of a new stack; r12 carries the
// coroutine, r13 its entry.
asm(R"(
.text
.globl aeterna_sim_switch
.type aeterna_sim_switch,@function
aeterna_sim_switch:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
.size aeterna_sim_switch,.-aeterna_sim_switch
.globl aeterna_sim_start
.type aeterna_sim_start,@function
aeterna_sim_start:
    .cfi_startproc
    .cfi_undefined rip
    movq %r12, %rdi
    callq *%r13
    ud2
    .cfi_endproc
.size aeterna_sim_start,.-aeterna_sim_start
.section .note.GNU-stack,"",@progbits
.text
)");
extern "C" void aeterna_sim_switch(void** from, void* to);
extern "C" void aeterna_sim_start();

#endif

struct Coroutine::Machine {
    Stack stack;
#if defined(AETERNA_OWN_SWITCH)
    void* inside = nullptr;   // stack pointer of the body
    void* outside = nullptr;  // of the scheduler
#else
    ucontext_t inside{};
    ucontext_t outside{};
#endif
#if defined(__SANITIZE_ADDRESS__)
    void* fake_inside = nullptr;
    void* fake_outside = nullptr;
    const void* outside_low = nullptr;
    std::size_t outside_bytes = 0;
#endif
#if defined(__SANITIZE_THREAD__)
    void* thread_inside = nullptr;
    void* thread_outside = nullptr;
#endif
};

Coroutine::Coroutine() : machine_(std::make_unique<Machine>()) {}
Coroutine::~Coroutine() { AETERNA_CHECK(ended_); }

void Coroutine::prepare(Action body) {
    AETERNA_CHECK(ended_);
    body_ = std::move(body);
    ended_ = false;
#if defined(AETERNA_OWN_SWITCH)
    // Below the return address: r15, r14, r13, r12, rbx, rbp. After `ret` the stack is aligned to
    // 16 for the call.
    auto** top = reinterpret_cast<void**>(machine_->stack.high()) - 3;
    *top = reinterpret_cast<void*>(&aeterna_sim_start);
    top -= 6;
    top[0] = top[1] = top[4] = top[5] = nullptr;
    top[2] = reinterpret_cast<void*>(&Coroutine::enter);
    top[3] = this;
    machine_->inside = top;
#else
    AETERNA_CHECK(::getcontext(&machine_->inside) == 0);
    machine_->inside.uc_stack.ss_sp = machine_->stack.low();
    machine_->inside.uc_stack.ss_size = kStackBytes;
    machine_->inside.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&machine_->inside, reinterpret_cast<void (*)()>(+[](unsigned low, unsigned high) {
        enter(reinterpret_cast<Coroutine*>(static_cast<std::uintptr_t>(high) << 32 | low));
    }),
                  2, static_cast<unsigned>(self), static_cast<unsigned>(self >> 32));
#endif
#if defined(__SANITIZE_THREAD__)
    machine_->thread_inside = __tsan_create_fiber(0);
#endif
}

void Coroutine::resume() {
    Machine& m = *machine_;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&m.fake_outside, m.stack.low(), kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
    m.thread_outside = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(m.thread_inside, 0);
#endif
#if defined(AETERNA_OWN_SWITCH)
    aeterna_sim_switch(&m.outside, m.inside);
#else
    ::swapcontext(&m.outside, &m.inside);
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(m.fake_outside, nullptr, nullptr);
#endif
#if defined(__SANITIZE_THREAD__)
    if (ended_) __tsan_destroy_fiber(m.thread_inside);
#endif
}

void Coroutine::yield() {
    Machine& m = *machine_;
#if defined(__SANITIZE_ADDRESS__)
    // Null for a body that has ended: its fake frames are freed.
    __sanitizer_start_switch_fiber(ended_ ? nullptr : &m.fake_inside, m.outside_low,
                                   m.outside_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(m.thread_outside, 0);
#endif
#if defined(AETERNA_OWN_SWITCH)
    aeterna_sim_switch(&m.inside, m.outside);
#else
    ::swapcontext(&m.inside, &m.outside);
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(m.fake_inside, &m.outside_low, &m.outside_bytes);
#endif
}

void Coroutine::enter(Coroutine* self) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &self->machine_->outside_low,
                                    &self->machine_->outside_bytes);
#endif
    self->body_();
    self->body_.reset();
    self->ended_ = true;
    self->yield();
    AETERNA_CHECK(false);  // nobody resumes what has ended
}

}  // namespace aeterna::sim
