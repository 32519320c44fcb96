#include "env/posix/errors.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace aeterna::env {

std::string errno_text(int error_number) { return std::generic_category().message(error_number); }

std::string quoted(std::string_view verb, const std::string& path) { return fmt::format("{} '{}'", verb, path); }

Error file_error(int error_number, const std::string& what) {
    ErrorCode code = ErrorCode::kIo;
    switch (error_number) {
        case ENOENT:
        case ENOTDIR:
        case ESRCH: code = ErrorCode::kNotFound; break;
        case EACCES:
        case EPERM:
        case EROFS: code = ErrorCode::kPermission; break;
        case EEXIST: code = ErrorCode::kAlreadyExists; break;
        case ENOSPC:
        case EDQUOT: code = ErrorCode::kNoSpace; break;
        default: break;
    }
    return make_error(code, fmt::format("{}: {}", what, errno_text(error_number)));
}

ErrorCode socket_error_code(int error_number) {
    switch (error_number) {
        case ECONNREFUSED: return ErrorCode::kConnectionRefused;
        case ECONNRESET:
        case ECONNABORTED:
        case ENOTCONN:
        case EPIPE: return ErrorCode::kConnectionLost;
        case ETIMEDOUT: return ErrorCode::kTimeout;
        case EHOSTUNREACH:
        case EHOSTDOWN:
        case ENETUNREACH:
        case ENETDOWN:
        case EADDRNOTAVAIL:
        case EAFNOSUPPORT: return ErrorCode::kUnreachable;
        case EADDRINUSE: return ErrorCode::kAlreadyExists;
        case EACCES:
        case EPERM: return ErrorCode::kPermission;
        default: return ErrorCode::kIo;
    }
}

ErrorCode connect_error_code(int error_number) {
    const bool is_unsent = error_number == EINVAL || error_number == EACCES || error_number == EPERM;
    return is_unsent ? ErrorCode::kUnreachable : socket_error_code(error_number);
}

Error socket_error(int error_number, const std::string& what) {
    return make_error(socket_error_code(error_number),
                      fmt::format("{}: {}", what, errno_text(error_number)));
}

Error connect_error(int error_number, const std::string& what) {
    return make_error(connect_error_code(error_number), fmt::format("{}: {}", what, errno_text(error_number)));
}

void Descriptor::reset() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

}  // namespace aeterna::env
