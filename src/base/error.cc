#include "base/error.h"

#include <array>
#include <utility>

namespace aeterna {
namespace {

struct CodeRow {
    ErrorCode code;
    std::string_view name;
    int exit_code;
};

// Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 partial, 4 unknown outcome, 5 refused by a
// guard, 6 objective missed, 7 awaiting approval, 8 deadline passed, 10 no repository, 11 locked, 12 wrong key,
// 130 cancelled.
constexpr std::array kCodes = {
    CodeRow{ErrorCode::kInternal, "internal", 1},
    CodeRow{ErrorCode::kUsage, "usage", 2},
    CodeRow{ErrorCode::kConfiguration, "configuration", 2},
    CodeRow{ErrorCode::kNotFound, "not_found", 1},
    CodeRow{ErrorCode::kAlreadyExists, "already_exists", 1},
    CodeRow{ErrorCode::kPermission, "permission", 1},
    CodeRow{ErrorCode::kAuthentication, "authentication", 2},
    CodeRow{ErrorCode::kIo, "io", 1},
    CodeRow{ErrorCode::kConnectionRefused, "connection_refused", 1},
    CodeRow{ErrorCode::kConnectionLost, "connection_lost", 1},
    CodeRow{ErrorCode::kUnreachable, "unreachable", 1},
    CodeRow{ErrorCode::kTimeout, "timeout", 8},
    CodeRow{ErrorCode::kProtocol, "protocol", 1},
    CodeRow{ErrorCode::kServer, "server", 1},
    CodeRow{ErrorCode::kUnavailable, "unavailable", 1},
    CodeRow{ErrorCode::kReadOnly, "read_only", 1},
    CodeRow{ErrorCode::kPartial, "partial", 3},
    CodeRow{ErrorCode::kUnknownOutcome, "unknown_outcome", 4},
    CodeRow{ErrorCode::kGuardRefused, "guard_refused", 5},
    CodeRow{ErrorCode::kObjectiveMissed, "objective_missed", 6},
    CodeRow{ErrorCode::kAwaitingApproval, "awaiting_approval", 7},
    CodeRow{ErrorCode::kDeadline, "deadline", 8},
    CodeRow{ErrorCode::kLocked, "locked", 11},
    CodeRow{ErrorCode::kCancelled, "cancelled", 130},
    CodeRow{ErrorCode::kNoRepository, "no_repository", 10},
    CodeRow{ErrorCode::kWrongKey, "wrong_key", 12},
    CodeRow{ErrorCode::kCorrupt, "corrupt", 1},
    CodeRow{ErrorCode::kNoSpace, "no_space", 1},
};

const CodeRow& row(ErrorCode code) {
    for (const CodeRow& candidate : kCodes) {
        if (candidate.code == code) return candidate;
    }
    return kCodes.front();
}

}  // namespace

std::string Error::to_string() const {
    std::string text = message;
    for (const Error* inner = cause.get(); inner != nullptr; inner = inner->cause.get()) {
        text += ": ";
        text += inner->message;
    }
    return text;
}

Error make_error(ErrorCode code, std::string message, std::string hint, Effect effect) {
    return Error{code, std::move(message), std::move(hint), effect, nullptr};
}

Error wrap_error(Error cause, std::string message) {
    Error outer{cause.code, std::move(message), cause.hint, cause.effect, nullptr};
    outer.cause = std::make_shared<const Error>(std::move(cause));
    return outer;
}

std::string_view code_name(ErrorCode code) { return row(code).name; }

ErrorCode code_from_name(std::string_view name) {
    for (const CodeRow& candidate : kCodes) {
        if (candidate.name == name) return candidate.code;
    }
    return ErrorCode::kInternal;
}

int exit_code(ErrorCode code) { return row(code).exit_code; }

std::string_view effect_name(Effect effect) {
    switch (effect) {
        case Effect::kNone: return "none";
        case Effect::kPartial: return "partial";
        case Effect::kUnknown: return "unknown";
    }
    return "unknown";
}

Effect effect_from_name(std::string_view name) {
    if (name == "none") return Effect::kNone;
    if (name == "partial") return Effect::kPartial;
    return Effect::kUnknown;
}

}  // namespace aeterna
