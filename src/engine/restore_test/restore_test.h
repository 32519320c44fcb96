// A restore test: a backup is restored into a sandbox, a real server is started on it and questioned. What a store
// brings for it (RestoreTester), and the verdict over what was found, which is pure. What could not be looked at is
// "not checked", never "passed", and a test that was hindered says nothing against the backup: its verdict is unknown.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/capture/backup.h"
#include "engine/drill/scorecard.h"
#include "env/processes.h"

namespace aeterna::engine {

// A question of the stack's own. The first value of its first row has to be `expect`.
struct TestQuery {
    std::string name;
    std::string database;  // empty: the store's own choice
    std::string text;
    std::string expect = "t";
};

enum class TestOutcome { kPassed, kFailed, kNotChecked };
[[nodiscard]] std::string_view test_outcome_name(TestOutcome outcome);  // passed failed not_checked

// How much a check weighs when it could not be made: without the essential ones nothing is known, and of those that
// read the data itself one at least has to have passed.
enum class CheckKind { kEssential, kContent, kOther };

struct TestCheck {
    std::string name;  // "databases", "amcheck", "query orders"
    CheckKind kind = CheckKind::kOther;
    TestOutcome outcome = TestOutcome::kNotChecked;
    std::string detail = {};  // what was looked at, what is wrong, or why it could not be looked at
    Duration took{};
};

struct TestPhase {
    std::string name;  // plan fetch start check stop
    Duration took{};
};

struct RestoreTestOrder {
    RestoreOrder restore;  // `into` and the tablespaces' places are the test's own choice
    ScratchRoom room;
    OptionValues options;  // of the store alone
    std::vector<TestQuery> queries;
    std::string ledgers;  // directory of the drills' evidence; empty: none
    std::function<void(const std::string&)> note;
};

struct RestoreTestResult {
    RestorePlan plan;         // its backup has no id when none could be chosen
    std::uint64_t bytes = 0;  // restored, what is replayed with them
    std::optional<Duration> replay;  // by the server's own word: how much of its start went into the plan's replay
    std::vector<TestPhase> phases;
    std::vector<TestCheck> checks;
    std::optional<Error> error;  // what ended the test early

    // From the first step to a server that takes writes; nothing when it never got there.
    [[nodiscard]] std::optional<Duration> recovery() const;
    [[nodiscard]] Duration total() const;
};

[[nodiscard]] Verdict judge(const RestoreTestResult& result);
// The reason of a verdict that is not "pass", one line; empty for a pass.
[[nodiscard]] std::string reason_of(const RestoreTestResult& result);

class RestoreTester {
  public:
    virtual ~RestoreTester() = default;
    // The account that servers of this store have where we are root ("postgres").
    [[nodiscard]] virtual std::string server_user() const = 0;
    // Names (/proc/PID/comm) of what may run in a sandbox of it, and is ended with it.
    [[nodiscard]] virtual std::vector<std::string> programs() const = 0;
    // An error when the test could not begin: kUsage, kConfiguration, kNotFound, kGuardRefused. Everything later is in
    // the result, and so is a damage that leaves no plan. Whatever happens, nothing that it started runs when it
    // returns; the sandbox is the caller's to remove.
    [[nodiscard]] virtual Result<RestoreTestResult> run(repository::Repository& repository,
                                                        const RestoreTestOrder& order, const env::Context& context) = 0;
};

}  // namespace aeterna::engine
