// Workers that have nothing left to read pack for the others, and all of it is in the repository afterwards.
#include "repository/pipeline/helpers.h"

#include "repository/pipeline/entry_reader.h"
#include "rig.h"

namespace aeterna::repository::testing {
namespace {

TEST(Helpers, PackForOthersUntilNobodyIsLeft) {
    Rig rig;
    const auto repository = rig.open();
    Job job(forever());
    env::Threads& threads = repository->ports().threads;
    std::map<Id, std::string> entries;
    {
        ChunkStore store(repository->storage(), repository->keys(), repository->index(), repository->ports(), job);
        Helpers helpers(threads, job, 2);
        const auto lane = store.make_lane();
        HelpedSink sink(*lane, repository->index(), helpers);
        const auto put = [&](std::uint64_t seed, auto into) {
            const std::string plain = noise(100'000, seed);
            const Id id = repository->keys().content(bytes_of(plain));
            entries[id] = plain;
            return into(id, bytes_of(plain));
        };
        const auto take = [&](const Id& id, Bytes plain) { return helpers.take(EntryType::kData, id, plain); };
        EXPECT_FALSE(put(1, take)) << "nobody is there to help";
        EXPECT_TRUE(sink.put(EntryType::kData, entries.begin()->first, {bytes_of(entries.begin()->second), nullptr}));

        const auto helper = threads.start("helper", [&](const std::stop_token&) {
            const auto own = store.make_lane();
            job.check(helpers.help(*own));
            job.check(own->finish());
        });
        while (!put(2, take)) {}
        for (std::uint64_t seed = 3; seed < 30; ++seed) {
            EXPECT_TRUE(put(seed, [&](const Id& id, Bytes plain) { return sink.put(EntryType::kData, id, {plain, nullptr}).has_value(); }));
        }
        EXPECT_TRUE(helpers.help(*lane));  // returns: all have come to the end
        EXPECT_TRUE(lane->finish());
        helper->join();
        EXPECT_TRUE(store.finish());
    }
    EntryReader reader(*repository, forever());
    for (const auto& [id, expected] : entries) {
        std::string plain;
        ASSERT_TRUE(reader.read(EntryType::kData, id, plain));
        EXPECT_EQ(plain, expected);
    }
}

TEST(Helpers, StopWaitingWhenTheJobFails) {
    Rig rig;
    const auto repository = rig.open();
    Job job(forever());
    ChunkStore store(repository->storage(), repository->keys(), repository->index(), repository->ports(), job);
    Helpers helpers(repository->ports().threads, job, 2);
    const auto lane = store.make_lane();
    const auto worker = repository->ports().threads.start("worker", [&](const std::stop_token&) {
        job.fail(make_error(ErrorCode::kIo, "the disk is gone"));  // and never helps
    });
    EXPECT_TRUE(helpers.help(*lane));
    EXPECT_EQ(job.status().error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace aeterna::repository::testing
