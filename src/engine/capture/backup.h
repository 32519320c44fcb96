// What a store brings to the commands `backup STORE` and `restore STORE`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
};
using OptionValues = std::map<std::string, std::vector<std::string>>;

struct BackupOrder {
    std::string node;  // empty: the store chooses
    OptionValues options;
    unsigned workers = 2;
    repository::ProgressCallback progress;
    std::function<void(const std::string&)> note;  // what people should know while it runs
};

struct RestoreOrder {
    std::string to = "latest";  // or a recovery point as the store writes them, or a backup's id or its unique beginning
    std::string timeline;       // of the log, where it has several; empty: the newest
    // What the restored server runs to get the files of the log (engine::Archive); the store adds the words. Shell-quoted.
    std::string archive_command;
    std::string series;         // of which name; empty: the only one there is
    std::string into;           // absolute
    std::string tablespaces_under;  // absolute; empty: those that no option places go where they were
    OptionValues options;
    unsigned workers = 2;
    repository::ProgressCallback progress;
};

struct RestorePlan {
    // The log is replayed from `from` to `to`, its last record begins at `last`.
    struct Replay {
        std::uint64_t from = 0, last = 0, to = 0;
        std::uint32_t timeline = 0;
    };
    repository::Backup backup;
    std::optional<Replay> replay;    // nothing: the backup as it is
    std::vector<std::string> lines;  // for people
    Json document;                   // the same for scripts
};

class Restorer {
  public:
    virtual ~Restorer() = default;
    // Says what would be done, and whether it can be: nothing is touched. kUsage, kNotFound, kGuardRefused, kCorrupt,
    // kNoSpace.
    [[nodiscard]] virtual Result<RestorePlan> plan(repository::Repository& repository, const RestoreOrder& order,
                                                   const env::Context& context) = 0;
    // Does what plan() said.
    [[nodiscard]] virtual Result<repository::RestoreResult> restore(repository::Repository& repository,
                                                                    const RestoreOrder& order, const RestorePlan& plan,
                                                                    const env::Context& context) = 0;
};

}  // namespace aeterna::engine
