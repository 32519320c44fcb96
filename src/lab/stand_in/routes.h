// The stand-in's REST interface: Qdrant's envelopes and status codes for the routes that we use,
// and three of our own under /stand-in/ (apply, view, points: between peers; faults: for tests).
// What is not here answers 404, what is here but not supported answers 400 and says so: nothing is
// silently ignored except `consistency`, `ordering`, `timeout` and `shard_number` (there is one
// shard, writes go to every replica, reads are local).
#pragma once

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "lab/stand_in/replication.h"

namespace aeterna::lab {

// POST /stand-in/faults {"status":503,"delay_ms":200,"internal":false}; {} ends them. Health routes
// are spared.
struct Faults {
    int status = 0;  // answered instead of working; 0 = none
    Duration delay{};
    bool internal = false;  // also for the routes between peers
};

// The HTTP status that Qdrant gives for such an error.
[[nodiscard]] int status_of(const Error& error);

class Routes {
  public:
    Routes(const StandInConfig& config, Database& database, Replication& replication,
           const env::Env& env, std::stop_token stop)
        : config_(config),
          database_(database),
          replication_(replication),
          env_(env),
          stop_(std::move(stop)) {}

    // Called on several threads at once.
    [[nodiscard]] env::ServerResponse handle(const env::ServerRequest& request);

  private:
    // Either `result` (null allowed) or an error text with its status.
    struct Answer {
        int status = 200;
        Json result;
        std::string error;
    };
    static Answer fail(int status, std::string error) {
        return {status, nullptr, std::move(error)};
    }
    using Path = std::vector<std::string>;

    [[nodiscard]] env::ServerResponse open_route(const Path& path) const;
    [[nodiscard]] env::ServerResponse answer(const env::ServerRequest& request, const Path& path);
    [[nodiscard]] env::ServerResponse internal_route(const env::ServerRequest& request,
                                                     const Path& path, const Json& body);
    [[nodiscard]] bool is_authorised(const env::ServerRequest& request) const;
    [[nodiscard]] std::string metrics() const;
    [[nodiscard]] bool all_ready() const;

    [[nodiscard]] Answer cluster() const;
    [[nodiscard]] Answer collections_route(const env::ServerRequest& request, const Path& path,
                                           const Json& body);
    [[nodiscard]] Answer list_collections() const;
    [[nodiscard]] Answer list_aliases(const std::string& collection) const;
    [[nodiscard]] Answer change_aliases(const Json& body);
    [[nodiscard]] Answer create(const std::string& name, const Json& body);
    [[nodiscard]] Answer drop(const std::string& name);
    [[nodiscard]] Answer describe(const std::string& name) const;
    [[nodiscard]] Answer collection_cluster(const std::string& name) const;

    // point_routes.cc
    [[nodiscard]] Answer points_route(const env::ServerRequest& request, const Path& path,
                                      const Json& body);
    [[nodiscard]] Answer upsert(const std::string& name, const Json& body, bool wait);
    [[nodiscard]] Answer remove(const std::string& name, const Json& body, bool wait);
    [[nodiscard]] Answer retrieve(const std::string& name, const Json& body) const;
    [[nodiscard]] Answer scroll(const std::string& name, const Json& body) const;
    [[nodiscard]] Answer query(const std::string& name, const Json& body) const;
    [[nodiscard]] Answer written(const Status& status, bool wait);
    [[nodiscard]] Json points_page(const std::string& name, const std::string& after,
                                   std::size_t limit) const;

    const StandInConfig& config_;
    Database& database_;
    Replication& replication_;
    const env::Env& env_;
    std::stop_token stop_;
    mutable std::mutex mutex_;
    Faults faults_;
    mutable bool was_ready_ = false;  // /readyz latches, as Qdrant's does
    std::uint64_t operations_ = 0;
};

}  // namespace aeterna::lab
