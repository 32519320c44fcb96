// What a store's capture means for the store: its word, RPO now, and whether the objective is missed. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/capture/capture.h"
#include "engine/status.h"

namespace aeterna::engine {

// What is known of one store's capture.
struct CaptureFacts {
    std::string store;
    Duration objective{};  // RPO
    bool is_streaming = false;
    std::optional<Duration> rpo_now;  // nothing: never known since capture was begun
    Duration wanted_for{};            // since capture was begun; the least that RPO now can be while it is not known
    std::uint64_t behind_bytes = 0;
    std::string trouble;           // why nothing streams; may be empty
    bool is_refused = false;       // CaptureView's
    std::optional<bool> has_hole;  // CaptureView's
    bool is_blind = false;         // we are cut off, or have just woken up: nothing begins and nothing ends
    WallTime at{};
};

struct CaptureJudgement {
    std::string word;                  // running stopped behind
    Finding finding;                   // "<store>.rpo_exceeded"
    std::vector<std::string> reasons;  // why the store is not ok; empty when it is, as far as capture goes
};

[[nodiscard]] CaptureJudgement judge_capture(const CaptureFacts& facts);

// "<store>.capture_hole": fires when a hole is told, and is over when an audit finds none that matters any more.
// Between the two it is not known, so that a person who knows may close the incident.
[[nodiscard]] Finding judge_holes(const CaptureFacts& facts, const std::vector<CaptureEvent>& events);

// "<store>.capture_refused": what the server has contradicts what the repository has, and nothing is captured. It fires at once: time
// mends nothing, and every second of it is lost for a restore.
[[nodiscard]] Finding judge_refusal(const CaptureFacts& facts);

// Writes both into the store's status; a store that was ok is degraded by a reason.
void apply(const CaptureFacts& facts, const CaptureJudgement& judgement, StoreStatus& status);

}  // namespace aeterna::engine
