// Prometheus' HTTP API: instant queries. An empty vector is not zero: the caller gets an empty list and must
// treat it as unknown.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "env/env.h"

namespace aeterna::services {

struct PrometheusSample {
    std::map<std::string, std::string> labels;
    double time_seconds = 0;  // Unix time of the sample
    double value = 0;
};

class Prometheus {
  public:
    Prometheus(std::string base_url, const env::Env& env);
    // kUnavailable on 503, kServer on an error answer, kProtocol on a wrong one.
    [[nodiscard]] Result<std::vector<PrometheusSample>> query(const std::string& expression,
                                                              const env::Context& context);

  private:
    std::string base_url_;
    const env::Env& env_;
};

}  // namespace aeterna::services
