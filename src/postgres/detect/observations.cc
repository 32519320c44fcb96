// Names and classes of answers.
#include "postgres/detect/observations.h"

namespace aeterna::postgres {

std::string_view answer_name(Answer answer) {
    switch (answer) {
        case Answer::kNever: return "unknown";
        case Answer::kAnswered: return "answered";
        case Answer::kRefused: return "refused";
        case Answer::kSilent: return "silent";
        case Answer::kUnavailable: return "unavailable";
        case Answer::kRejected: return "rejected";
    }
    return "unknown";
}

Answer answer_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::kConnectionRefused:
        case ErrorCode::kConnectionLost: return Answer::kRefused;
        case ErrorCode::kTimeout:
        case ErrorCode::kDeadline:
        case ErrorCode::kUnreachable: return Answer::kSilent;
        case ErrorCode::kUnavailable: return Answer::kUnavailable;
        case ErrorCode::kCancelled: return Answer::kNever;
        default: return Answer::kRejected;
    }
}

}  // namespace aeterna::postgres
