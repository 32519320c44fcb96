// A small S3 server for tests that must run everywhere: one bucket in memory, objects, ranges, paged listings,
// multipart uploads, If-None-Match, and the checks that matter: signature (computed here anew, not by the signer under
// test), payload digest, and the age of the request. Not a model of S3's failures: those are the fault proxy's.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/env.h"
#include "env/net.h"

namespace aeterna::repository::testing {

struct StandInOptions {
    std::string bucket = "stand-in-bucket";
    std::string region = "eu-central-1";
    std::string access_key_id = "STANDINKEY";
    std::string secret = "stand-in/secret+key";
    bool knows_conditional_writes = true;
    std::size_t page_limit = 7;  // smaller than what is asked for, as a server may do
};

class S3StandIn {
  public:
    // Listens on a free port of 127.0.0.0/8 until destroyed.
    S3StandIn(const env::Env& env, StandInOptions options);

    [[nodiscard]] const env::Endpoint& endpoint() const { return endpoint_; }
    [[nodiscard]] const StandInOptions& options() const { return options_; }

  private:
    struct Object {
        std::string bytes;
        WallTime modified{};
        std::string mark;  // x-amz-meta-writer
    };
    struct Upload {
        std::string key;
        WallTime initiated{};
        std::string mark;
        std::map<int, std::string> parts;
    };
    using Request = env::ServerRequest;
    using Response = env::ServerResponse;

    Response handle(const Request& request);
    // Nothing wrong: status 0.
    [[nodiscard]] Response refuse_unsigned(const Request& request) const;
    [[nodiscard]] Response refuse_body(const Request& request) const;
    Response route(const Request& request, const std::string& key);
    Response put(const Request& request, const std::string& key);
    Response get(const Request& request, const std::string& key);
    Response list(const Request& request);
    Response list_uploads(const Request& request);
    Response begin(const Request& request, const std::string& key);
    Response put_part(const Request& request);
    Response complete(const Request& request, const std::string& key);

    const env::Env& env_;
    const StandInOptions options_;
    env::Endpoint endpoint_;
    std::mutex mutex_;
    std::map<std::string, Object> objects_;
    std::map<std::string, Upload> uploads_;
    int next_upload_ = 0;
    std::unique_ptr<env::HttpServer> server_;  // last: ends first
};

}  // namespace aeterna::repository::testing
