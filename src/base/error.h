// Error: what went wrong, whether the world may have changed, and what the reader should do.
//
// One table (error.cc) gives each code its name and its exit code. `effect` answers one question:
// could the world have changed? After kUnknown the caller must re-read the world, never blindly retry.
// Messages are lower case, without full stop, values in single quotes; a hint is a sentence.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace aeterna {

enum class ErrorCode {
    kInternal,           // a bug or an unexpected failure of this program
    kUsage,              // bad command line
    kConfiguration,      // bad stack file or settings
    kNotFound,           // the named thing does not exist
    kAlreadyExists,      // the thing to be created is there
    kPermission,         // the operating system or a server denied it
    kAuthentication,     // wrong or missing credentials
    kIo,                 // local files or processes
    kConnectionRefused,  // the peer's kernel answered: nobody listens (strong evidence of a dead process)
    kConnectionLost,     // an established connection was reset or closed
    kUnreachable,        // no route, name not resolved
    kTimeout,            // the peer stayed silent until its own deadline (weak evidence)
    kProtocol,           // the peer sent what its protocol does not allow
    kServer,             // the peer answered with an error of its own
    kUnavailable,        // the peer answers but cannot serve now (503, LOADING, starting up)
    kReadOnly,           // a write reached a node that is not the primary
    kPartial,            // some of it was done
    kUnknownOutcome,     // it may or may not have happened
    kGuardRefused,       // a safety guard said no
    kObjectiveMissed,    // it worked, but missed an RTO or RPO objective
    kAwaitingApproval,   // a person has to agree first
    kDeadline,           // the caller's deadline passed
    kLocked,             // another aeterna-dr holds the lock
    kCancelled,          // stop was requested
    kNoRepository,       // there is no repository at the named place
    kWrongKey,           // the key opens none of the repository's key slots
    kCorrupt,            // stored bytes are not what was written
    kNoSpace,            // the disk or quota is full
};

enum class Effect { kNone, kPartial, kUnknown };

struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
    std::string hint;
    Effect effect = Effect::kNone;
    std::shared_ptr<const Error> cause;

    // "message: cause's message: …", one line.
    [[nodiscard]] std::string to_string() const;
};

[[nodiscard]] Error make_error(ErrorCode code, std::string message, std::string hint = "",
                               Effect effect = Effect::kNone);
// `outer` with `cause` beneath it; code and effect of the cause are kept.
[[nodiscard]] Error wrap_error(Error cause, std::string message);

// Stable word for a code ("connection_refused"), used in JSON and the journal.
[[nodiscard]] std::string_view code_name(ErrorCode code);
// kInternal for an unknown word.
[[nodiscard]] ErrorCode code_from_name(std::string_view name);
// Process exit code of the command-line contract (docs/cli.md).
[[nodiscard]] int exit_code(ErrorCode code);

[[nodiscard]] std::string_view effect_name(Effect effect);
[[nodiscard]] Effect effect_from_name(std::string_view name);

}  // namespace aeterna
