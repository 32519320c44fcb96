// What a store brings to the commands `backup STORE` and `restore STORE`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/processes.h"
#include "repository/pipeline/backup.h"
#include "repository/pipeline/restore.h"

namespace aeterna::engine {

// An option of a command that only this store has.
struct CommandOption {
    std::string name;  // "checkpoint": --checkpoint
    std::string type;  // "fast|spread"
    std::string help;
    std::vector<std::string> allowed;  // empty: any text
    bool is_list = false;              // may be given several times
    bool is_flag = false;              // has no value: {"1"} when given
};
using OptionValues = std::map<std::string, std::vector<std::string>>;
// What was given for it, in order.
[[nodiscard]] inline std::vector<std::string> option_words(const OptionValues& values, const std::string& name) {
    const auto found = values.find(name);
    return found == values.end() ? std::vector<std::string>() : found->second;
}
// The last of it; empty when nothing was given.
[[nodiscard]] inline std::string option_word(const OptionValues& values, const std::string& name) {
    const auto words = option_words(values, name);
    return words.empty() ? std::string() : words.back();
}

struct BackupOrder {
    std::string node;  // empty: the store chooses
    OptionValues options;
    unsigned workers = 2;
    repository::ProgressCallback progress;
    std::function<void(const std::string&)> note;  // what people should know while it runs
};

// Where a restore may run a server of its own meanwhile.
struct ScratchRoom {
    std::string sandbox;            // a directory of its own (engine/restore_test/sandbox.h)
    std::optional<env::User> user;  // whom the server runs as; nothing: ourselves
    std::string server_bin;         // where the server's programs are; empty: looked for
};

struct RestoreOrder {
    std::string to = "latest";  // or a recovery point as the store writes them, or a backup's id or its unique beginning
    std::string timeline;       // of the log, where it has several; empty: the newest
    // What the restored server runs to get the files of the log (engine::Archive); the store adds the words. Shell-quoted.
    std::string archive_command;
    std::string series;         // of which name; empty: the only one there is
    // Of whose history, where a series has had several clusters; empty: the newest one's, or that of the time.
    std::string cluster;
    std::string into;  // absolute; empty: only the source is planned, the target is somebody else's to look at
    std::string tablespaces_under;  // absolute; empty: those that no option places go where they were
    OptionValues options;
    unsigned workers = 2;
    repository::ProgressCallback progress;
    std::optional<ScratchRoom> scratch;  // where needs_scratch() said so
    std::function<void(const std::string&)> note;  // what people should know while it runs
    // An error when who started us is gone, for what is of use to that one alone; empty: nobody knows.
    std::function<Status()> ask_starter;
};

struct RestorePlan {
    // The log is replayed from `from` to `to`, its last record begins at `last`.
    struct Replay {
        std::uint64_t from = 0, last = 0, to = 0;
        std::uint32_t timeline = 0;     // of the last record
        std::uint32_t timeline_before = 0;  // of what stands right before that; 0: not known
        std::uint64_t whole_from = 0;   // the log alone suffices from here on, before `from`; 0: it needs what the backup brings
        [[nodiscard]] std::uint64_t bytes() const { return to - from; }
    };
    repository::Backup backup;
    std::optional<Replay> replay;    // nothing: the backup as it is
    std::vector<std::string> lines;  // for people
    Json document;                   // the same for scripts
    std::string approval;            // what a person has to agree to first; empty: nothing
};

// What lies behind a stretch and cannot be restored, because a part of the log is missing. Positions as the store
// writes them.
struct RecoveryGap {
    std::string to;                    // where the next one begins; empty: nowhere before the next backup
    std::optional<WallTime> to_time;   // of that, by our clock
    std::vector<std::string> missing;  // of the log, in words
};

// A stretch of a store's history of which every point can be restored.
struct RecoveryWindow {
    std::string series;
    std::string cluster;               // whose history it is, where one series has had several; as the store names them
    std::vector<std::string> backups;  // that it can begin with, oldest first
    std::uint32_t timeline = 0;        // at its end
    std::string from, to;              // positions as the store writes them
    WallTime since{};                  // the first backup's end, by our clock
    // Every time from the one to the other can be asked for, by the server's clock; nothing: none can.
    std::optional<WallTime> earliest, until;
    std::string ends_because;          // empty: the capture has come so far
    std::optional<RecoveryGap> gap;    // where the history goes on behind it
};

class Restorer {
  public:
    virtual ~Restorer() = default;
    // In the order of series, cluster and position.
    [[nodiscard]] virtual Result<std::vector<RecoveryWindow>> recovery_windows(repository::Repository&, const env::Context&) {
        return std::vector<RecoveryWindow>();
    }
    // Whether plan() and restore() want a scratch room for this order.
    [[nodiscard]] virtual Result<bool> needs_scratch(repository::Repository&, const RestoreOrder&, const env::Context&) {
        return false;
    }
    // Says what would be done, and whether it can be: nothing is touched. kUsage, kNotFound, kGuardRefused, kCorrupt,
    // kNoSpace.
    [[nodiscard]] virtual Result<RestorePlan> plan(repository::Repository& repository, const RestoreOrder& order,
                                                   const env::Context& context) = 0;
    // Does what plan() said.
    [[nodiscard]] virtual Result<repository::RestoreResult> restore(repository::Repository& repository,
                                                                    const RestoreOrder& order, const RestorePlan& plan,
                                                                    const env::Context& context) = 0;
};

// A file that the store's stock tools load, out of a backup.
struct ExportOrder {
    std::string backup = "latest";  // or an id, or its unique beginning
    std::string series;             // of which name; empty: the only one there is
    std::string output;             // absolute
    bool replaces = false;          // a file that is there
    OptionValues options;
};

struct ExportResult {
    repository::Backup backup;
    std::string what;  // "the database 'aeterna'"
    std::uint64_t bytes = 0;
};

class Exporter {
  public:
    virtual ~Exporter() = default;
    // The file is there as a whole and durable, or as it was. kUsage, kNotFound, kAlreadyExists, kCorrupt, kNoSpace.
    [[nodiscard]] virtual Result<ExportResult> run(repository::Repository& repository, const ExportOrder& order,
                                                   const env::Context& context) = 0;
};

}  // namespace aeterna::engine
