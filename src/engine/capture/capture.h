// Continuous capture of a store's log into the repository: what `backup watch` runs and asks, whatever the store.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "env/context.h"
#include "env/file_system.h"
#include "env/replication.h"
#include "repository/repository.h"

namespace aeterna::engine {

// Something that stays true when it is over, for the timeline.
struct CaptureEvent {
    std::string kind;     // "capture.hole", "capture.backfilled", "capture.slot_dropped"
    std::string subject;  // node
    std::string detail;
};
inline constexpr std::string_view kCaptureHole = "capture.hole";

// Called from several threads, one at a time.
struct CaptureVoice {
    // A line for people when something changes.
    std::function<void(const std::string&)> tell;
    std::function<void(const CaptureEvent&)> report;
};

struct CaptureResources {
    repository::Repository& repository;
    env::ReplicationConnector& replication;
    CaptureVoice voice;
    // Leave to begin the log of a cluster that the repository has not seen, beside those of others.
    bool accepts_new_cluster = false;
};

struct CaptureView {
    std::string node;      // that the log comes from; empty while there is none
    std::string log;       // its name in the repository; empty before the first
    std::string position;  // durable up to here, as the store writes positions
    std::optional<Duration> rpo_now;  // nothing: not known
    std::uint64_t behind_bytes = 0;   // known to be written and not durable yet
    std::string trouble;              // why nothing comes; empty while it does
    bool is_refused = false;          // and that is: it contradicts what the repository has
    // Whether something is missing in the log that no base backup lies behind; nothing: not known.
    std::optional<bool> has_hole;
};

class Capture {
  public:
    virtual ~Capture() = default;
    // Until stop is requested (success: what had arrived is durable) or it cannot go on: kGuardRefused, kWrongKey,
    // kNoRepository. Everything else is told and tried again.
    virtual Status run(const env::Context& context) = 0;
    // From any thread.
    [[nodiscard]] virtual CaptureView view() = 0;
};

// What keeps a server from suffering by a capture that has stalled, whether it runs or not.
class CaptureGuard {
  public:
    virtual ~CaptureGuard() = default;
    // Until stop.
    virtual void run(const std::stop_token& stop) = 0;
};

// Files of a log for a server that recovers (PostgreSQL's restore_command). Of a store, without a stack file.
struct ArchiveRequest {
    std::string file;               // as the server names it
    std::string into;               // where it wants it
    std::string cluster;            // system identifier; empty: of the data directory
    std::string data_directory;     // where the server runs; "." is what restore_command has
    std::uint64_t segment_bytes = 0;  // 0: of the data directory, else the store's default
    // Positions as the store writes them: what lies before the one or behind the other is answered as not there. Empty: none.
    std::string from, until;
};
enum class ArchiveAnswer { kServed, kAbsent };

// A file of a log that a server hands over (PostgreSQL's archive_command).
struct ArchivePush {
    std::string file;            // as the server names it
    std::string from;            // where it is
    std::string data_directory;  // where the server runs; "." is what archive_command has
    bool accepts_new_cluster = false;  // as in CaptureResources
};

class Archive {
  public:
    virtual ~Archive() = default;
    // Durable in the repository when it returns, whoever brought it. kGuardRefused where the repository has other bytes
    // there, or WAL of other clusters alone; kConfiguration for a file that is not what it is named.
    virtual Status push(repository::Repository& repository, const ArchivePush& request, const env::Context& context) = 0;
    // kAbsent only when the repository certainly has nothing of it nor of what would come after it. Every error leaves
    // `into` as it was.
    [[nodiscard]] virtual Result<ArchiveAnswer> get(repository::Repository& repository, const ArchiveRequest& request,
                                                    const env::Context& context) = 0;
};

}  // namespace aeterna::engine
