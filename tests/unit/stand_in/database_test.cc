// The stand-in's data: what survives a restart, and that records may come twice, late and in any
// order.
#include "lab/stand_in/database.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "../support/fake_env.h"

namespace aeterna::lab {
namespace {

using aeterna::testing::FakeFiles;

Json collection(const std::string& name, std::uint64_t version, bool dropped = false) {
    Collection c{version, dropped, {{"size", 2}, {"distance", "Cosine"}}, {{1, {}}, {2, {}}}, {}};
    return collection_record(name, c);
}

Json points(const std::string& name,
            std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> id_versions,
            bool deleted = false) {
    Json record = {{"op", "points"}, {"name", name}, {"points", Json::array()}};
    for (const auto& [id, version] : id_versions) {
        Point point{version, deleted, {}, {{"v", version}}};
        if (!deleted) point.vector = {3, 4};
        record["points"].push_back(point_entry({false, id, ""}, point));
    }
    return record;
}

std::unique_ptr<Database> open(FakeFiles& files) {
    auto database = Database::open("/d", 1, files);
    EXPECT_TRUE(database) << database.error().to_string();
    return database ? std::move(*database) : nullptr;
}

std::size_t count(const Database& database, const std::string& name) {
    return database.read([&](const DatabaseState& s) {
        return s.find(name) == nullptr ? 999 : s.find(name)->count();
    });
}

TEST(Database, ComesBackAfterARestart) {
    FakeFiles files;
    {
        const auto database = open(files);
        ASSERT_TRUE(database->apply(collection("c", 256)));
        ASSERT_TRUE(database->apply(points("c", {{1, 257}, {2, 258}, {3, 259}})));
        ASSERT_TRUE(database->apply(points("c", {{2, 300}}, true)));
        ASSERT_TRUE(database->apply(aliases_record({{"live", "c"}}, 400)));
    }
    for (int restart = 0; restart < 3; ++restart) {
        const auto database = open(files);
        EXPECT_EQ(count(*database, "live"), 2U);
        EXPECT_GT(database->next_version(), 400U);
        EXPECT_NEAR(database->read([](const auto& s) {
            return s.find("c")->points.at({false, 1, ""}).vector[1];
        }),
                    0.8, 1e-6);
    }
}

TEST(Database, ATornEndIsDroppedDamageInTheMiddleIsNot) {
    FakeFiles files;
    {
        const auto database = open(files);
        ASSERT_TRUE(database->apply(collection("c", 256)));
        ASSERT_TRUE(database->apply(points("c", {{1, 257}})));
    }
    std::string& log = files.content["/d/stand-in.log"];
    const std::string whole = log;
    log += R"({"op":"points","name":"c","points":[[2,25)";
    EXPECT_EQ(count(*open(files), "c"), 1U);
    files.content["/d/stand-in.log"] = "{nonsense}\n" + whole;
    const auto damaged = Database::open("/d", 1, files);
    ASSERT_FALSE(damaged);
    EXPECT_EQ(damaged.error().code, ErrorCode::kIo);
}

TEST(Database, AnyOrderGivesTheSameState) {
    std::vector<Json> records = {
        points("c", {{1, 300}, {2, 300}}),
        points("c", {{1, 400}}),
        points("c", {{2, 350}}, true),
        points("c", {{3, 100}}),
        {{"op", "replicas"}, {"name", "c"}, {"states", {{"2", Json::array({"Dead", 310U})}}}},
        {{"op", "replicas"}, {"name", "c"}, {"states", {{"2", Json::array({"Active", 320U})}}}},
        collection("c", 256)};
    std::sort(records.begin(), records.end());
    int orders = 0;
    do {
        FakeFiles files;
        const auto database = open(files);
        ASSERT_TRUE(database->apply(collection("c", 256)));
        for (const Json& record : records) ASSERT_TRUE(database->apply(record)) << record.dump();
        ASSERT_EQ(count(*database, "c"), 1U) << "2 is deleted, 3 is older than the collection";
        ASSERT_EQ(database->read([](const auto& s) {
            return s.find("c")->points.at({false, 1, ""}).version;
        }),
                  400U);
        ASSERT_EQ(database->read([](const auto& s) { return s.find("c")->state_of(2); }), "Active");
        ++orders;
    } while (orders < 300 && std::next_permutation(records.begin(), records.end()));
    EXPECT_EQ(orders, 300);
}

TEST(Database, ADroppedCollectionStaysDroppedUntilANewerOne) {
    FakeFiles files;
    const auto database = open(files);
    ASSERT_TRUE(database->apply(collection("c", 256)));
    ASSERT_TRUE(database->apply(points("c", {{1, 300}})));
    ASSERT_TRUE(database->apply(collection("c", 512, true)));
    ASSERT_TRUE(database->apply(collection("c", 256)));
    EXPECT_EQ(count(*database, "c"), 999U);
    EXPECT_EQ(database->apply(points("c", {{1, 600}})).error().code, ErrorCode::kNotFound);
    ASSERT_TRUE(database->apply(collection("c", 768)));
    EXPECT_EQ(count(*database, "c"), 0U);
}

TEST(Database, RefusesMalformedRecords) {
    FakeFiles files;
    const auto database = open(files);
    ASSERT_TRUE(database->apply(collection("c", 256)));
    for (const char* text :
         {"{}", R"({"op":"points","name":"c"})",
          R"({"op":"points","name":"c","points":[[1,300,false,[1],{}]]})",
          R"({"op":"points","name":"c","points":[[-1,300,false,[1,2],{}]]})",
          R"({"op":"points","name":"c","points":[[1,300,false,["x",2],{}]]})",
          R"({"op":"replicas","name":"c","states":{"x":["Dead",300]}})",
          R"({"op":"aliases","version":1,"aliases":{"a":1}})",
          R"({"op":"collection","name":"d","version":1})", R"({"op":"unheard","name":"c"})"}) {
        const Status applied = database->apply(*parse_json(text, "test"));
        ASSERT_FALSE(applied) << text;
        EXPECT_EQ(applied.error().code, ErrorCode::kUsage) << text;
    }
}

TEST(PointIds, NumbersSortBeforeTexts) {
    const auto uuid = point_id_from_json("550E8400-e29b-41d4-a716-446655440000");
    ASSERT_TRUE(uuid);
    EXPECT_LT((PointId{false, 18446744073709551615U, ""}), *uuid);
    EXPECT_EQ(uuid->text, "550e8400-e29b-41d4-a716-446655440000");
    EXPECT_FALSE(point_id_from_json(-1));
    EXPECT_FALSE(point_id_from_json("hello"));
    EXPECT_FALSE(point_id_from_json(1.5));
}

}  // namespace
}  // namespace aeterna::lab
