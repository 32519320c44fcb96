// The drill's writers: what an outcome means, and how the client path goes round a bad node.
#include "qdrant/workload/writers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "../support/fake_env.h"
#include "qdrant/workload/drill_store.h"

namespace aeterna::qdrant {
namespace {

using engine::WriteOutcome;

const env::HttpResponse kDone{
    200, {}, R"({"result":{"operation_id":1,"status":"completed"},"status":"ok","time":0})"};

struct OutcomeCase {
    const char* name;
    Result<env::HttpResponse> response;
    WriteOutcome outcome;
};

TEST(Writer, ClassifiesWhatOneNodeSays) {
    const OutcomeCase cases[] = {
        {"completed", kDone, WriteOutcome::kOk},
        {"wait time-out", env::HttpResponse{200, {}, R"({"result":{"status":"wait_timeout"}})"},
         WriteOutcome::kUnknown},
        {"acknowledged only", env::HttpResponse{200, {}, R"({"result":{"status":"acknowledged"}})"},
         WriteOutcome::kUnknown},
        {"garbage", env::HttpResponse{200, {}, "?"}, WriteOutcome::kUnknown},
        {"bad request", env::HttpResponse{400, {}, "{}"}, WriteOutcome::kFail},
        {"no key", env::HttpResponse{401, {}, ""}, WriteOutcome::kFail},
        {"read only", env::HttpResponse{403, {}, ""}, WriteOutcome::kFail},
        {"no collection", env::HttpResponse{404, {}, ""}, WriteOutcome::kFail},
        {"rate limit", env::HttpResponse{429, {}, ""}, WriteOutcome::kFail},
        {"server time-out", env::HttpResponse{408, {}, ""}, WriteOutcome::kUnknown},
        {"too few replicas", env::HttpResponse{500, {}, "{}"}, WriteOutcome::kUnknown},
        {"unavailable", env::HttpResponse{503, {}, "{}"}, WriteOutcome::kUnknown},
        {"refused", make_error(ErrorCode::kConnectionRefused, "x"), WriteOutcome::kFail},
        {"no route", make_error(ErrorCode::kUnreachable, "x"), WriteOutcome::kFail},
        {"refused at the repetition",
         make_error(ErrorCode::kConnectionRefused, "x", "", Effect::kUnknown),
         WriteOutcome::kUnknown},
        {"no route at the repetition",
         make_error(ErrorCode::kUnreachable, "x", "", Effect::kUnknown), WriteOutcome::kUnknown},
        {"reset", make_error(ErrorCode::kConnectionLost, "x"), WriteOutcome::kUnknown},
        {"silence", make_error(ErrorCode::kTimeout, "x"), WriteOutcome::kUnknown},
        {"deadline", make_error(ErrorCode::kDeadline, "x"), WriteOutcome::kUnknown},
    };
    for (const OutcomeCase& item : cases) {
        aeterna::testing::FakeEnv fake;
        fake.http.handler = [&item](const env::HttpRequest&) { return item.response; };
        const auto writer =
            make_writer({{"n1", Client("http://1", Secret(), {}, fake.env)}}, "c", fake.env);
        const auto reply = writer->write(1, fake.clock.context());
        EXPECT_EQ(reply.outcome, item.outcome) << item.name;
        EXPECT_EQ(reply.error.empty(), item.outcome == WriteOutcome::kOk) << item.name;
        EXPECT_EQ(reply.node, "n1");
    }
}

TEST(Writer, GoesRoundTheNodesAndPastABadOne) {
    aeterna::testing::FakeEnv fake;
    std::vector<std::string> asked;
    std::map<std::string, Result<env::HttpResponse>> answers;
    fake.http.handler = [&](const env::HttpRequest& request) {
        asked.push_back(request.url.substr(7, 1));
        const auto found = answers.find(asked.back());
        return found == answers.end() ? Result<env::HttpResponse>(kDone) : found->second;
    };
    std::vector<NamedClient> nodes;
    for (const char* n : {"1", "2", "3"}) {
        nodes.push_back({n, Client(std::string("http://") + n, Secret(), {}, fake.env)});
    }
    const auto writer = make_writer(nodes, "c", fake.env);
    for (std::uint64_t id = 1; id <= 3; ++id)
        EXPECT_EQ(writer->write(id, fake.clock.context()).outcome, WriteOutcome::kOk);
    EXPECT_EQ(asked, (std::vector<std::string>{"1", "2", "3"}));
    asked.clear();
    answers.emplace("1", make_error(ErrorCode::kConnectionRefused, "x"));
    const auto reply = writer->write(4, fake.clock.context());
    EXPECT_EQ(reply.outcome, WriteOutcome::kOk);
    EXPECT_EQ(reply.node, "2");
    answers.emplace("2", make_error(ErrorCode::kTimeout, "x"));
    answers.emplace("3", make_error(ErrorCode::kConnectionRefused, "x"));
    EXPECT_EQ(writer->write(5, fake.clock.context()).outcome, WriteOutcome::kUnknown)
        << "a silent try may have worked, whatever the later ones say";
    answers.erase("2");
    answers.emplace("2", make_error(ErrorCode::kConnectionRefused, "x"));
    EXPECT_EQ(writer->write(6, fake.clock.context()).outcome, WriteOutcome::kFail);
}

TEST(CombineTries, OnceUnknownOnlyAnAcknowledgementSettlesIt) {
    using enum WriteOutcome;
    EXPECT_EQ(combine_tries(kUnknown, kFail), kUnknown);
    EXPECT_EQ(combine_tries(kFail, kUnknown), kUnknown);
    EXPECT_EQ(combine_tries(kFail, kFail), kFail);
    EXPECT_EQ(combine_tries(kUnknown, kOk), kOk);
}

TEST(Writer, ASilentNodeLeavesTimeForTheOthers) {
    aeterna::testing::FakeEnv fake;
    fake.http.handler = [&](const env::HttpRequest& request) -> Result<env::HttpResponse> {
        if (request.url.substr(7, 1) != "1") return kDone;
        fake.clock.advance(400ms);  // its share of 1.2 s
        return make_error(ErrorCode::kTimeout, "x");
    };
    std::vector<NamedClient> nodes;
    for (const char* n : {"1", "2", "3"}) {
        nodes.push_back({n, Client(std::string("http://") + n, Secret(), {}, fake.env)});
    }
    EXPECT_EQ(make_writer(nodes, "c", fake.env)->write(1, fake.clock.context(1200ms)).outcome,
              WriteOutcome::kOk);
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(make_writer(nodes, "c", fake.env)
                  ->write(1, fake.clock.context(1s, stop.get_token()))
                  .outcome,
              WriteOutcome::kFail)
        << "nothing was sent";
}

TEST(VectorOf, IsStableAndSpreadsIds) {
    EXPECT_EQ(vector_of(42), vector_of(42));
    double worst = 0;
    for (std::uint64_t a = 1; a <= 200; ++a) {
        const auto left = vector_of(a);
        ASSERT_EQ(left.size(), kVectorSize);
        for (const float value : left) EXPECT_TRUE(value >= -1 && value < 1);
        const auto right = vector_of(a + 1);
        double dot = 0, l = 0, r = 0;
        for (std::size_t i = 0; i < kVectorSize; ++i) {
            dot += left[i] * right[i];
            l += left[i] * left[i];
            r += right[i] * right[i];
        }
        worst = std::max(worst, dot / std::sqrt(l * r));
    }
    EXPECT_LT(worst, 0.99) << "neighbouring ids must not be neighbours in the index";
}

TEST(DrillCollection, IsASafeName) {
    EXPECT_EQ(drill_collection("q1-20261123T101500Z-3f2a"),
              "aeterna_dr_drill_q1-20261123T101500Z-3f2a");
    EXPECT_EQ(drill_collection("a/../b?c=d e"), "aeterna_dr_drill_a____b_c_d_e");
    EXPECT_LT(drill_collection(std::string(1000, 'x')).size(), 255U);
}

TEST(ReadBack, EndsWhenAScrollGoesInCircles) {
    aeterna::testing::FakeEnv fake;
    int calls = 0;
    fake.http.handler = [&calls](const env::HttpRequest&) -> Result<env::HttpResponse> {
        ++calls;
        return env::HttpResponse{
            200, {}, R"({"result":{"points":[{"id":1}],"next_page_offset":1}})"};
    };
    auto settings = std::make_shared<Settings>();
    settings->nodes.push_back({"n1", "http://1", "", ""});
    const auto found = make_drill_store(settings, fake.env)->read_back("x", fake.clock.context());
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kProtocol);
    EXPECT_LT(calls, 10);
}

}  // namespace
}  // namespace aeterna::qdrant
