#include "qdrant/detect/board.h"

namespace aeterna::qdrant {

Answer answer_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::kUnavailable: return Answer::kUnavailable;
        case ErrorCode::kAuthentication:
        case ErrorCode::kPermission: return Answer::kDenied;
        case ErrorCode::kConnectionRefused: return Answer::kRefused;
        case ErrorCode::kConnectionLost: return Answer::kCut;
        case ErrorCode::kProtocol:
        case ErrorCode::kServer:
        case ErrorCode::kNotFound: return Answer::kWrong;
        default: return Answer::kSilent;
    }
}

std::string_view answer_name(Answer answer) {
    switch (answer) {
        case Answer::kNever: return "unknown";
        case Answer::kServing: return "running";
        case Answer::kUnavailable: return "unavailable";
        case Answer::kDenied: return "unauthorised";
        case Answer::kWrong: return "wrong answer";
        case Answer::kRefused: return "refused";
        case Answer::kCut:
        case Answer::kSilent: return "unreachable";
    }
    return "unknown";
}

bool is_alive(Answer answer) {
    return answer == Answer::kServing || answer == Answer::kUnavailable ||
           answer == Answer::kDenied || answer == Answer::kWrong;
}

}  // namespace aeterna::qdrant
