// Merging of a log: what is planned, what it costs, and that merges, trims, writers and readers at one time lose no byte.
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "dying_storage.h"
#include "repository/log_merge_plan.h"
#include "repository/log_pieces.h"
#include "repository/log_segments.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * kKiB;

// ------------------------------------------------------------------------------------------ the plan

// A log as sizes only: appended to and merged by plan, with a count of how often its bytes were written.
class PlannedLog {
  public:
    void append(std::uint64_t bytes) {
        parts_[end_] = {bytes, false, 0};
        end_ += bytes;
    }
    void merge(bool has_ended) {
        std::vector<LogPiece> pieces;
        for (const auto& [start, part] : parts_) {
            pieces.push_back({start, part.is_merged ? std::optional(start + part.bytes) : std::nullopt});
        }
        for (const MergeGroup& group : plan_merge(pieces, has_ended)) {
            EXPECT_GT(group.size(), 1U);
            Part whole{0, true, 0};
            for (const LogPiece& piece : group) {
                const Part& part = parts_.at(piece.start);
                EXPECT_EQ(piece.start, group.front().start + whole.bytes) << "neighbours";
                whole.bytes += part.bytes;
                whole.most_rewrites = std::max(whole.most_rewrites, part.most_rewrites + 1);
                parts_.erase(piece.start);
            }
            EXPECT_LE(whole.bytes, kMostLogPiece);
            rewritten_ += whole.bytes;
            parts_[group.front().start] = whole;
        }
    }
    [[nodiscard]] std::size_t count() const { return parts_.size(); }
    [[nodiscard]] double rewrites() const { return static_cast<double>(rewritten_) / static_cast<double>(end_); }
    [[nodiscard]] int most_rewrites() const {
        int most = 0;
        for (const auto& [start, part] : parts_) most = std::max(most, part.most_rewrites);
        return most;
    }
    [[nodiscard]] std::uint64_t end() const { return end_; }

  private:
    struct Part {
        std::uint64_t bytes = 0;
        bool is_merged = false;
        int most_rewrites = 0;
    };
    std::map<std::uint64_t, Part> parts_;
    std::uint64_t end_ = 0, rewritten_ = 0;
};

TEST(MergePlan, LeavesTheLastPieceAndWhatIsLarge) {
    EXPECT_TRUE(plan_merge({}, true).empty());
    EXPECT_TRUE(plan_merge({{0, {}}}, true).empty());
    EXPECT_TRUE(plan_merge({{0, {}}, {10, {}}}, true).empty());
    EXPECT_EQ(plan_merge({{0, {}}, {10, {}}, {20, {}}}, true), (std::vector<MergeGroup>{{{0, {}}, {10, {}}}}));
    EXPECT_TRUE(plan_merge({{0, {}}, {10, {}}, {20, {}}}, false).empty()) << "there may be more of it";
    EXPECT_TRUE(plan_merge({{0, {}}, {4 * kMiB, {}}, {8 * kMiB, {}}}, true).empty());
}

TEST(MergePlan, ALargePieceOrAGapEndsARun) {
    const std::vector<LogPiece> large = {{0, {}}, {10, {}}, {20, 20 + 5 * kMiB}, {20 + 5 * kMiB, {}}};
    EXPECT_EQ(plan_merge(large, false), (std::vector<MergeGroup>{{{0, {}}, {10, {}}}}));
    const std::vector<LogPiece> gap = {{0, 10}, {10, 20}, {30, 40}, {40, {}}};
    EXPECT_EQ(plan_merge(gap, false), (std::vector<MergeGroup>{{{0, 10}, {10, 20}}}));
}

TEST(MergePlan, ADayOfPiecesIsAFewDozen) {
    PlannedLog log;
    for (int second = 0; second < 86400; ++second) {
        log.append(3000);
        if (second % 300 == 299) log.merge(false);
    }
    EXPECT_LT(log.count(), 200U);
    EXPECT_LE(log.most_rewrites(), 3);
    EXPECT_LE(log.rewrites(), 3.0);
}

TEST(MergePlan, EachByteIsWrittenAgainSixTimesAtMost) {
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937_64 random(seed);
        PlannedLog log;
        const unsigned widest = 5 + seed % 18;  // pieces of up to 32 B to 4 MiB
        for (int i = 0; i < 3000; ++i) {
            log.append(1 + random() % (1ULL << (random() % widest + 1)));
            if (random() % 20 == 0) log.merge(false);
        }
        log.merge(false);
        EXPECT_LE(log.most_rewrites(), 6) << seed;
        log.merge(true);
        EXPECT_LE(log.count(), 3 + 2 * log.end() / (4 * kMiB)) << seed;
    }
}

TEST(MergePlan, ALogThatWasNeverMergedIsWrittenOnce) {
    PlannedLog log;
    for (int second = 0; second < 86400; ++second) log.append(3000);
    log.merge(false);
    EXPECT_LE(log.rewrites(), 1.0);
    EXPECT_LT(log.count(), 130U);
}

// ------------------------------------------------------------------------------------------ at one time

// Of threads that call at one time, one goes on, chosen by a seed; the others wait.
class Turns {
  public:
    Turns(unsigned seed, std::set<int> players) : random_(seed), players_(std::move(players)) { choose(); }
    void await(int player) {
        std::unique_lock lock(mutex_);
        if (turn_ == player) choose();
        changed_.notify_all();
        changed_.wait(lock, [&] { return turn_ == player; });
    }
    void leave(int player) {
        const std::lock_guard lock(mutex_);
        players_.erase(player);
        choose();
        changed_.notify_all();
    }

  private:
    void choose() {
        if (players_.empty()) return;
        auto chosen = players_.begin();
        std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % players_.size()));
        turn_ = *chosen;
    }

    std::mt19937 random_;
    std::set<int> players_;
    int turn_ = -1;
    std::mutex mutex_;
    std::condition_variable changed_;
};

// Runs something before each call.
class WatchedStorage final : public Storage {
  public:
    enum class Call { kPut, kRead, kStat, kList, kRemove };
    WatchedStorage(Storage& inner, std::function<void(Call)> before) : inner_(inner), before_(std::move(before)) {}
    // The next list of pieces does not show these.
    void hide_once(std::set<std::string> names) { hidden_ = std::move(names); }

    std::string describe() const override { return inner_.describe(); }
    Result<std::unique_ptr<ObjectWriter>> create(const std::string& name, const env::Context& context) override {
        return inner_.create(name, context);
    }
    Status put(const std::string& name, std::span<const char> bytes, PutMode mode, const env::Context& context) override {
        before_(Call::kPut);
        return inner_.put(name, bytes, mode, context);
    }
    Result<std::size_t> read(const std::string& name, std::uint64_t offset, std::span<char> into,
                             const env::Context& context) override {
        before_(Call::kRead);
        return inner_.read(name, offset, into, context);
    }
    Result<ObjectInfo> stat(const std::string& name, const env::Context& context) override {
        before_(Call::kStat);
        return inner_.stat(name, context);
    }
    Status list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                const env::Context& context) override {
        before_(Call::kList);
        const std::set<std::string> hidden = std::exchange(hidden_, {});
        return inner_.list(prefix, [&](const ObjectInfo& object) { return hidden.count(object.name) > 0 || found(object); },
                           context);
    }
    Status remove(const std::string& name, const env::Context& context) override {
        before_(Call::kRemove);
        return inner_.remove(name, context);
    }
    Result<WallTime> now(const env::Context& context) override { return inner_.now(context); }
    Result<std::size_t> sweep_unfinished(WallTime older, const env::Context& context) override {
        return inner_.sweep_unfinished(older, context);
    }

  private:
    Storage& inner_;
    const std::function<void(Call)> before_;
    std::set<std::string> hidden_;
};

class MergesAtOnce : public ::testing::Test {
  protected:
    void append(Repository& repository, int pieces) {
        const auto log = LogWriter::open(repository, "t1", forever()).value();
        for (int i = 0; i < pieces; ++i) {
            const std::string piece = rows(300 + 40 * static_cast<unsigned>(i), text_.size());
            ASSERT_TRUE(log->append(log->end().value_or(0), bytes_of(piece), forever()));
            text_ += piece;
        }
    }
    static std::string read(Repository& repository, std::uint64_t from) {
        std::string text;
        const auto end = read_log(repository, "t1", from, [&](auto, Bytes bytes) -> Result<bool> {
            text.append(bytes.data(), bytes.size());
            return true;
        }, forever());
        return end ? text : end.error().to_string();
    }

    std::string text_;
};

TEST_F(MergesAtOnce, LoseNothingAtAnyInterleaving) {
    for (unsigned seed = 0; seed < 400; ++seed) {
        text_.clear();
        Rig rig;
        const auto sound = Repository::open(rig.memory, rig.key(), real_ports(), forever()).value();
        append(*sound, 5);
        // A merged piece before them in every second run, so that the merges find pieces of both kinds.
        if (seed % 2 == 0) {
            ASSERT_TRUE(merge_log(*sound, "t1", LogGrowth::kHasEnded, forever()));
        }
        append(*sound, 3);
        const std::size_t trimmed = seed % 3 == 0 ? 700 : 0;
        const std::string before = text_;
        Turns turns(seed, {0, 1, 2, 3});
        std::vector<std::unique_ptr<WatchedStorage>> storages;
        std::vector<std::thread> threads;
        for (int player = 0; player < 4; ++player) {
            storages.push_back(std::make_unique<WatchedStorage>(rig.memory, [&turns, player](auto) { turns.await(player); }));
        }
        const auto play = [&](int player, auto work) {
            threads.emplace_back([&, player, work] {
                const auto repository = Repository::open(*storages[static_cast<std::size_t>(player)], rig.key(), real_ports(), forever());
                if (repository) work(**repository);
                else ADD_FAILURE() << repository.error().to_string();
                turns.leave(player);
            });
        };
        for (int player : {0, 1}) {
            play(player, [&](Repository& repository) {
                EXPECT_TRUE(merge_log(repository, "t1", LogGrowth::kHasEnded, forever())) << seed;
            });
        }
        play(2, [&](Repository& repository) {
            EXPECT_TRUE(trim_log(repository, "t1", trimmed, forever())) << seed;
            EXPECT_EQ(read(repository, trimmed).substr(0, before.size() - trimmed), before.substr(trimmed)) << seed;
        });
        play(3, [&](Repository& repository) { append(repository, 2); });
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(read(*sound, trimmed), text_.substr(trimmed)) << seed;
        ASSERT_TRUE(merge_log(*sound, "t1", LogGrowth::kHasEnded, forever()));
        ASSERT_TRUE(trim_log(*sound, "t1", trimmed, forever()));  // what a merge has brought back
        EXPECT_EQ(log_ranges(*sound, "t1", LogReading::kEverything, forever()).value().size(), 1U) << seed;
        EXPECT_EQ(read(*sound, trimmed), text_.substr(trimmed)) << seed;
        std::size_t objects = 0;
        EXPECT_TRUE(rig.memory.list("logs/t1/0", [&](const ObjectInfo&) { return ++objects > 0; }, forever()));
        EXPECT_EQ(objects, 2U) << "nothing is left behind: " << seed;
    }
}

// A directory that is listed while it changes may show neither what went nor what came.
TEST_F(MergesAtOnce, HiddenFromAListAreStillRead) {
    Rig rig;
    WatchedStorage storage(rig.memory, [](auto) {});
    const auto repository = Repository::open(storage, rig.key(), real_ports(), forever()).value();
    append(*repository, 6);
    ASSERT_TRUE(merge_log(*repository, "t1", LogGrowth::kHasEnded, forever()));
    append(*repository, 1);
    const auto pieces = list_pieces(*repository, "t1", forever()).value();
    ASSERT_EQ(pieces.size(), 3U);
    for (const std::size_t from : {std::size_t{0}, std::size_t{500}}) {
        storage.hide_once({piece_name("t1", pieces[0])});
        EXPECT_EQ(read(*repository, from), text_.substr(from));
    }
    storage.hide_once({piece_name("t1", pieces[0])});
    EXPECT_EQ(log_ranges(*repository, "t1", LogReading::kEverything, forever()).value(),
              (std::vector<LogRange>{{0, text_.size()}}));
}

// The log is removed, whole, at each changing call of a merge: nothing may say later that something was lost.
TEST_F(MergesAtOnce, ARemovedLogHasNoMark) {
    for (int calls = 1; calls <= 12; ++calls) {
        text_.clear();
        Rig rig;
        const auto sound = rig.open();
        append(*sound, 6);
        DyingStorage hooked(rig.memory, calls, [&] { EXPECT_TRUE(remove_log(*sound, "t1", forever())); });
        const auto repository = Repository::open(hooked, rig.key(), real_ports(), forever()).value();
        ASSERT_TRUE(merge_log(*repository, "t1", LogGrowth::kHasEnded, forever())) << calls;
        EXPECT_EQ(rig.check().problem_count, 0U) << calls;
    }
}

TEST(LogMerge, AMarkStaysWhenAnotherMergeTookTheLastPieceMeanwhile) {
    Rig rig;
    const auto other = Repository::open(rig.memory, rig.key(), real_ports(), forever()).value();
    const auto log = LogWriter::open(*other, "t1", forever()).value();
    std::uint64_t end = 0;
    const auto append = [&] {
        ASSERT_TRUE(log->append(end, bytes_of("some bytes"), forever()));
        end += 10;
    };
    append();
    append();
    // Before the first change, which is the mark.
    DyingStorage slow(rig.memory, 1, [&] {
        append();
        ASSERT_TRUE(merge_log(*other, "t1", LogGrowth::kHasEnded, forever()));
    });
    const auto repository = Repository::open(slow, rig.key(), real_ports(), forever()).value();
    ASSERT_TRUE(merge_log(*repository, "t1", LogGrowth::kGrows, forever()));
    EXPECT_TRUE(read_mark(*other, "t1", forever()).value());
}

TEST(LogMerge, TheMarkIsTheFurthestEndNotThatOfTheLastPiece) {
    Rig rig;
    const auto repository = Repository::open(rig.memory, rig.key(), real_ports(), forever()).value();
    const auto log = LogWriter::open(*repository, "t1", forever()).value();
    for (const std::uint64_t at : {0, 10, 20}) ASSERT_TRUE(log->append(at, bytes_of("some bytes"), forever()));
    ASSERT_TRUE(log->append(30, bytes_of("x"), forever()));
    ASSERT_TRUE(merge_log(*repository, "t1", LogGrowth::kHasEnded, forever()));  // 0 to 30, and 30
    ASSERT_TRUE(rig.memory.remove(piece_name("t1", {30, std::nullopt}), forever()));
    ASSERT_TRUE(rig.memory.remove("logs/t1/mark", forever()));
    ASSERT_TRUE(fill_log(*repository, "t1", 15, bytes_of("bytes"), forever()));  // late, and known already
    ASSERT_TRUE(merge_log(*repository, "t1", LogGrowth::kGrows, forever()));
    EXPECT_EQ(read_mark(*repository, "t1", forever()).value(), 30U);
}

}  // namespace
}  // namespace aeterna::repository
