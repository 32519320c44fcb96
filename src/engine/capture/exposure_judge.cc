#include "engine/capture/exposure_judge.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::engine {
namespace {

Finding finding_of(const CaptureFacts& facts, const char* what, FindingState state) {
    Finding finding;
    finding.detector = facts.store + "." + what;
    finding.store = facts.store;
    finding.subject = facts.store;
    finding.state = state;
    finding.since = facts.at;
    return finding;
}

}  // namespace

CaptureJudgement judge_capture(const CaptureFacts& facts) {
    CaptureJudgement judgement;
    const Duration exposed = facts.rpo_now.value_or(facts.wanted_for);
    const bool is_missed = exposed > facts.objective;
    judgement.word = !facts.is_streaming ? "stopped" : is_missed ? "behind" : "running";
    Finding& finding = judgement.finding;
    finding = finding_of(facts, "rpo_exceeded",
                         facts.is_blind ? FindingState::kUnknown : is_missed ? FindingState::kFiring : FindingState::kClear);
    if (!is_missed) return judgement;
    // Whole seconds: the words of an incident change as seldom as they can.
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(exposed);
    finding.summary = facts.rpo_now ? fmt::format("RPO now is {}, above the objective of {}", format_duration(seconds),
                                                  format_duration(facts.objective))
                                    : fmt::format("nothing was captured for {}, the objective is {}",
                                                  format_duration(seconds), format_duration(facts.objective));
    if (!facts.trouble.empty()) finding.reasons.push_back("capture: " + facts.trouble);
    if (facts.is_streaming) {
        finding.reasons.push_back(fmt::format("capture: {} bytes are written and not in the repository", facts.behind_bytes));
    }
    judgement.reasons.push_back(finding.summary);
    judgement.reasons.insert(judgement.reasons.end(), finding.reasons.begin(), finding.reasons.end());
    return judgement;
}

Finding judge_refusal(const CaptureFacts& facts) {
    Finding finding = finding_of(
        facts, "capture_refused",
        facts.is_refused ? FindingState::kFiring : facts.is_blind ? FindingState::kUnknown : FindingState::kClear);
    if (!facts.is_refused) return finding;
    finding.summary = "nothing is captured: what the server has contradicts what the repository has";
    finding.reasons.push_back("capture: " + facts.trouble);
    return finding;
}

Finding judge_holes(const CaptureFacts& facts, const std::vector<CaptureEvent>& events) {
    Finding finding =
        finding_of(facts, "capture_hole", facts.has_hole == false ? FindingState::kClear : FindingState::kUnknown);
    for (const CaptureEvent& event : events) {
        if (event.kind != kCaptureHole) continue;
        finding.state = FindingState::kFiring;
        finding.summary = "the log has a hole: nothing behind it can be restored before the next base backup";
        finding.reasons.push_back("capture: " + event.detail);
    }
    return finding;
}

void apply(const CaptureFacts& facts, const CaptureJudgement& judgement, StoreStatus& status) {
    status.capture = judgement.word;
    if (facts.rpo_now) status.rpo_now_seconds = to_seconds(*facts.rpo_now);
    status.reasons.insert(status.reasons.end(), judgement.reasons.begin(), judgement.reasons.end());
    if (!judgement.reasons.empty() && status.health == Health::kOk) status.health = Health::kDegraded;
}

}  // namespace aeterna::engine
