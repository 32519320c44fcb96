// EtcdGateway: one member's JSON interface (etcd v3, gRPC gateway): range, put, deleterange, txn,
// lease grant, keepalive, revoke and timetolive, health. Field facts as in src/services/etcd.cc:
// zero and false are absent, 64-bit integers are text, keys and values base64.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"
#include "env/sim/services.h"
#include "env/sim/world.h"
#include "models/etcd_store.h"

namespace aeterna::sim::models {

class Etcd;

class EtcdGateway final : public HttpService {
  public:
    // `agree(then)`: then(true) when the member serves; `stale`: what it knows when it is cut off,
    // else null.
    EtcdGateway(Etcd& etcd, World& world, std::function<void(std::function<void(bool)>)> agree,
                std::function<EtcdStore*()> stale)
        : etcd_(etcd), world_(world), agree_(std::move(agree)), stale_(std::move(stale)) {}
    void serve(HttpCall call, Promise<env::HttpResponse> answer) override;

  private:
    [[nodiscard]] env::HttpResponse perform(const HttpCall& call, const Json& body);
    [[nodiscard]] Json put(const Json& body, bool& is_lease_missing);
    [[nodiscard]] Json remove(const Json& body);
    [[nodiscard]] env::HttpResponse transaction(const Json& body);
    [[nodiscard]] env::HttpResponse lease(const std::string& action, const Json& body);

    Etcd& etcd_;
    World& world_;
    std::function<void(std::function<void(bool)>)> agree_;
    std::function<EtcdStore*()> stale_;
    // The newest range answer: probes ask the same again and again.
    std::string cached_request_;
    std::int64_t cached_revision_ = 0;
    std::string cached_answer_;
};

}  // namespace aeterna::sim::models
