// Fiber: a body with a stack of its own, run by turns on one OS thread. swapcontext(3) would ask
// the kernel for the signal mask at each switch, which is most of a switch's cost; on x86-64 a
// switch here is the dozen instructions that the ABI asks for (System V ABI, "Registers": rbx, rbp,
// r12-r15, rsp), elsewhere and under ThreadSanitizer it is ucontext. Stacks are mapped with a guard
// page below and kept for reuse.
#pragma once

#include <memory>

#include "env/sim/action.h"

namespace aeterna::sim {

// One stack and what is needed to continue on it.
class Coroutine {
  public:
    Coroutine();
    ~Coroutine();
    Coroutine(const Coroutine&) = delete;
    Coroutine& operator=(const Coroutine&) = delete;

    // Prepares a new run; the former one must have ended.
    void prepare(Action body);
    // From the scheduler: runs until the body yields or ends.
    void resume();
    // From the body: back to the scheduler.
    void yield();
    [[nodiscard]] bool has_ended() const { return ended_; }

  private:
    struct Machine;  // what the processor needs
    static void enter(Coroutine* self);
    std::unique_ptr<Machine> machine_;
    Action body_;
    bool ended_ = true;
};

}  // namespace aeterna::sim
