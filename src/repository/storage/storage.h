// Storage: where a repository's objects live. Named byte strings that never change once they are visible; a handful
// of calls that a directory, S3 and memory can all keep. Retry, throttling, faults and metrics are decorators.
//
// Names are relative, components of [A-Za-z0-9._=-] joined by '/', none empty or beginning with '.'; at most 200
// bytes. Errors: kNotFound, kAlreadyExists, kPermission, kAuthentication, kNoSpace, kIo, kTimeout, kUnavailable
// (throttled or 5xx: worth a retry), kConnection*, kDeadline, kCancelled. After an error with effect kUnknown the
// object may be there: look before repeating. All calls block within the context; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "env/context.h"

namespace aeterna::repository {

struct ObjectInfo {
    std::string name;
    std::uint64_t bytes = 0;
    WallTime modified{};  // by the storage's clock
};

// An object under construction: nobody sees it before commit. Dropped without commit, it leaves nothing that counts:
// what remains after a crash is found by `sweep_unfinished`. One thread at a time.
class ObjectWriter {
  public:
    virtual ~ObjectWriter() = default;
    virtual Status append(std::span<const char> bytes, const env::Context& context) = 0;
    // Durable and visible under its name when it returns: content first, then the name.
    virtual Status commit(const env::Context& context) = 0;
};

enum class PutMode {
    kIfAbsent,   // kAlreadyExists when the name is taken; decided atomically (link(2), S3 If-None-Match)
    kOverwrite,  // the old or the new content, never a mix
};

class Storage {
  public:
    virtual ~Storage() = default;

    // For messages: "/srv/repo", "s3://bucket/prefix"; never a secret.
    [[nodiscard]] virtual std::string describe() const = 0;

    // For large objects, written in order with bounded memory.
    [[nodiscard]] virtual Result<std::unique_ptr<ObjectWriter>> create(const std::string& name,
                                                                       const env::Context& context) = 0;
    // For small ones (a few MiB). Durable and visible when it returns.
    virtual Status put(const std::string& name, std::span<const char> bytes, PutMode mode,
                       const env::Context& context) = 0;
    // Fills `into` from `offset` on; the count is smaller only at the object's end.
    [[nodiscard]] virtual Result<std::size_t> read(const std::string& name, std::uint64_t offset,
                                                   std::span<char> into, const env::Context& context) = 0;
    [[nodiscard]] virtual Result<ObjectInfo> stat(const std::string& name, const env::Context& context) = 0;
    // Every visible object whose name begins with `prefix`, in name order, page by page; `found` false ends it.
    virtual Status list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                        const env::Context& context) = 0;
    // Missing is success. Durable when it returns.
    virtual Status remove(const std::string& name, const env::Context& context) = 0;
    // The storage's own clock: what sessions and prune compare.
    [[nodiscard]] virtual Result<WallTime> now(const env::Context& context) = 0;
    // Removes what unfinished writers left before `older_than` (temporary files, multipart uploads); their count. Of a
    // writer that still sends, something may arrive afterwards: the next sweep finds it.
    virtual Result<std::size_t> sweep_unfinished(WallTime older_than, const env::Context& context) = 0;
};

}  // namespace aeterna::repository
