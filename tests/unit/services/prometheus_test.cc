// The Prometheus client against our own HTTP server with canned documents (format: Prometheus' HTTP API, /api/v1/query).
#include "services/prometheus.h"

#include <cmath>

#include "unit/env/real_env.h"

namespace aeterna::services {
namespace {

using env::testing::free_endpoint;
using env::testing::real;
using env::testing::within;

class PrometheusTest : public ::testing::Test {
  protected:
    Result<std::vector<PrometheusSample>> query(env::ServerResponse response, const std::string& expression = "up") {
        const env::Endpoint endpoint = free_endpoint();
        response.headers.emplace_back("Connection", "close");
        auto server = real().http_listener.serve(endpoint, [&](const env::ServerRequest& request) {
            seen_path_ = request.path;
            const auto found = request.query.find("query");
            seen_expression_ = found == request.query.end() ? "" : found->second;
            return response;
        });
        EXPECT_TRUE(server) << server.error().to_string();
        return Prometheus("http://" + endpoint.to_string() + "/", real()).query(expression, within(5s));
    }
    static env::ServerResponse vector_of(const std::string& samples) {
        return {200, "application/json",
                R"({"status":"success","data":{"resultType":"vector","result":[)" + samples + "]}}", {}};
    }
    std::string seen_path_;
    std::string seen_expression_;
};

TEST_F(PrometheusTest, ReadsSamplesAndSendsTheExpressionUnharmed) {
    const std::string expression = R"(up{job="postgres exporter"} + on() 1 % 2 & "ä")";
    const auto samples = query(vector_of(R"({"metric":{"instance":"a:1","job":"p"},"value":[1700000000.5,"1"]},
                                            {"metric":{},"value":[1700000001,"-0.25"]},
                                            {"metric":{},"value":[1700000001,"NaN"]},
                                            {"metric":{},"value":[1700000001,"+Inf"]})"),
                               expression);
    ASSERT_TRUE(samples) << samples.error().to_string();
    EXPECT_EQ(seen_path_, "/api/v1/query");
    EXPECT_EQ(seen_expression_, expression);
    ASSERT_EQ(samples->size(), 4U);
    EXPECT_EQ((*samples)[0].labels.at("instance"), "a:1");
    EXPECT_EQ((*samples)[0].time_seconds, 1700000000.5);
    EXPECT_EQ((*samples)[0].value, 1);
    EXPECT_EQ((*samples)[1].value, -0.25);
    EXPECT_TRUE(std::isnan((*samples)[2].value));
    EXPECT_TRUE(std::isinf((*samples)[3].value));
}

TEST_F(PrometheusTest, AnEmptyVectorIsEmptyAndAScalarIsOneSample) {
    EXPECT_TRUE(query(vector_of(""))->empty());
    const auto scalar = query(
        {200, "application/json", R"({"status":"success","data":{"resultType":"scalar","result":[1.5,"7"]}})", {}});
    ASSERT_TRUE(scalar);
    EXPECT_EQ(scalar->front().value, 7);
}

TEST_F(PrometheusTest, WrongAnswersAreErrorsOfTheRightKind) {
    const struct {
        int status;
        const char* body;
        ErrorCode code;
    } cases[] = {
        {503, "Service Unavailable", ErrorCode::kUnavailable},
        {400, R"({"status":"error","errorType":"bad_data","error":"parse error"})", ErrorCode::kServer},
        {200, R"({"status":"error","errorType":"timeout","error":"x"})", ErrorCode::kServer},
        {404, "page not found", ErrorCode::kServer},
        {200, "<html>", ErrorCode::kProtocol},
        {200, "", ErrorCode::kProtocol},
        {200, "[]", ErrorCode::kProtocol},
        {200, R"({"status":"success"})", ErrorCode::kProtocol},
        {200, R"({"status":"success","data":7})", ErrorCode::kProtocol},
        {200, R"({"status":"success","data":{"resultType":"matrix","result":[]}})", ErrorCode::kProtocol},
        {200, R"({"status":"success","data":{"resultType":"vector","result":{}}})", ErrorCode::kProtocol},
        {200, R"({"status":"success","data":{"resultType":"vector","result":[1]}})", ErrorCode::kProtocol},
        {200, R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}})",
         ErrorCode::kProtocol},
        {200, R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}})",
         ErrorCode::kProtocol},
        {200, R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":1},"value":[1,"1"]}]}})",
         ErrorCode::kProtocol},
    };
    for (const auto& one : cases) {
        const auto samples = query({one.status, "application/json", one.body, {}});
        ASSERT_FALSE(samples) << one.body;
        EXPECT_EQ(samples.error().code, one.code) << one.status << " " << one.body;
    }
}

TEST_F(PrometheusTest, NobodyThereIsARefusal) {
    const auto samples = Prometheus("http://" + free_endpoint().to_string(), real()).query("up", within(5s));
    EXPECT_EQ(samples.error().code, ErrorCode::kConnectionRefused);
}

}  // namespace
}  // namespace aeterna::services
