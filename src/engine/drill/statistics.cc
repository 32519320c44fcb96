#include "engine/drill/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "base/check.h"
#include "engine/drill/scorecard.h"

namespace aeterna::engine {
namespace {

// P(X >= passes) for X ~ Binomial(runs, rate), summed in logarithms so that large n does not underflow.
double probability_of_at_least(std::size_t passes, std::size_t runs, double rate) {
    if (rate <= 0) return passes == 0 ? 1 : 0;
    if (rate >= 1) return 1;
    const auto n = static_cast<double>(runs);
    double sum = 0;
    for (std::size_t k = passes; k <= runs; ++k) {
        const auto x = static_cast<double>(k);
        sum += std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1) +
                        x * std::log(rate) + (n - x) * std::log1p(-rate));
    }
    return std::min(sum, 1.0);
}

struct Column {
    std::vector<double> values;
    std::size_t censored = 0;
    void add(const std::optional<double>& value) {
        if (value) values.push_back(*value);
        else ++censored;
    }
    [[nodiscard]] Json to_json() const {
        Json json = {{"n", values.size()}, {"censored", censored}, {"median", nullptr}, {"max", nullptr}};
        if (!values.empty()) {
            json["median"] = median(values);
            json["max"] = *std::max_element(values.begin(), values.end());
        }
        return json;
    }
};

struct Columns {
    Column rto, client_rto, detect, rpo, saved;
    std::map<std::string, std::size_t> assists;  // by outcome
    std::uint64_t lost_total = 0, lost_max = 0, unknown_total = 0, acknowledged = 0;
};

}  // namespace

double median(std::vector<double> values) {
    AETERNA_CHECK(!values.empty());
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    if (values.size() % 2 == 1) return values[middle];
    return (values[middle - 1] + values[middle]) / 2;
}

double pass_rate_lower_bound(std::size_t passes, std::size_t runs, double confidence) {
    if (runs == 0 || passes == 0) return 0;
    double low = 0, high = 1;
    for (int i = 0; i < 100; ++i) {
        const double middle = (low + high) / 2;
        if (probability_of_at_least(passes, runs, middle) > 1 - confidence) high = middle;
        else low = middle;
    }
    return low;
}

Json summarise_stores(const std::vector<Scorecard>& repeats) {
    std::map<std::string, Columns> stores;
    for (const Scorecard& card : repeats) {
        for (const StoreScore& score : card.stores) {
            Columns& columns = stores[score.store];
            columns.rto.add(score.rto_seconds);
            columns.client_rto.add(score.client_rto_seconds);
            if (score.faulted) columns.detect.add(score.detect_seconds);
            if (score.assist) ++columns.assists[score.assist->outcome];
            if (score.assist && score.assist->outcome == "acted") columns.saved.add(score.assist->saved_seconds);
            if (!score.loss) continue;
            columns.rpo.add(score.loss->rpo_seconds);
            columns.lost_total += score.loss->lost.size();
            columns.lost_max = std::max<std::uint64_t>(columns.lost_max, score.loss->lost.size());
            columns.unknown_total += score.loss->unknown;
            columns.acknowledged += score.loss->acknowledged;
        }
    }
    Json json = Json::object();
    for (const auto& [name, columns] : stores) {
        json[name] = {{"rto_seconds", columns.rto.to_json()},
                      {"client_rto_seconds", columns.client_rto.to_json()},
                      {"detect_seconds", columns.detect.to_json()},
                      {"rpo_seconds", columns.rpo.to_json()},
                      {"assists", columns.assists},
                      {"saved_seconds", columns.saved.to_json()},
                      {"acknowledged", columns.acknowledged},
                      {"unknown", columns.unknown_total},
                      {"lost", {{"total", columns.lost_total}, {"max", columns.lost_max}}}};
    }
    return json;
}

}  // namespace aeterna::engine
