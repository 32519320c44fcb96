// PatroniRest: GET /patroni /cluster /config /history /primary, POST /switchover /failover,
// as 3.0.2's api.py answers.
#pragma once

#include "env/sim/services.h"
#include "env/sim/world.h"

namespace aeterna::sim::models {

class Patroni;

class PatroniRest final : public HttpService {
  public:
    PatroniRest(Patroni& patroni, World& world) : patroni_(patroni), world_(world) {}
    void serve(HttpCall call, Promise<env::HttpResponse> answer) override;

  private:
    [[nodiscard]] std::string status_text() const;
    [[nodiscard]] std::string cluster_text() const;
    void act(const HttpCall& call, const Promise<env::HttpResponse>& answer);

    Patroni& patroni_;
    World& world_;
};

}  // namespace aeterna::sim::models
