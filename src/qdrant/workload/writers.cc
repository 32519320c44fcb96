#include "qdrant/workload/writers.h"

namespace aeterna::qdrant {
namespace {

using engine::WriteOutcome;

// splitmix64's finaliser: spreads neighbouring ids over all directions.
std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

class NodesWriter final : public engine::Writer {
  public:
    NodesWriter(std::vector<NamedClient> nodes, std::string collection, const env::Env& env)
        : nodes_(std::move(nodes)), collection_(std::move(collection)), env_(env) {}

    engine::WriteReply write(std::uint64_t id, const env::Context& context) override {
        engine::WriteReply reply{WriteOutcome::kFail, "", "no time left"};
        const std::vector<float> vector = vector_of(id);
        for (std::size_t tries = 0; tries < nodes_.size(); ++tries) {
            const Duration left = env_.clock.remaining(context);
            if (left <= Duration{} || context.stop.stop_requested()) break;
            const NamedClient& node = nodes_[next_];
            next_ = (next_ + 1) % nodes_.size();
            // A silent node may not eat the time of the others.
            const env::Context share = env_.clock.within(left / (nodes_.size() - tries), context);
            const Status written = node.client.upsert(collection_, id, vector, share);
            const WriteOutcome outcome = classify_write(written);
            reply.outcome = tries == 0 ? outcome : combine_tries(reply.outcome, outcome);
            reply.node = node.name;
            reply.error = written ? "" : node.name + ": " + written.error().to_string();
            if (outcome == WriteOutcome::kOk) break;
        }
        return reply;
    }

  private:
    std::vector<NamedClient> nodes_;
    std::string collection_;
    const env::Env& env_;
    std::size_t next_ = 0;
};

}  // namespace

std::vector<float> vector_of(std::uint64_t id) {
    std::vector<float> vector(kVectorSize);
    for (std::size_t i = 0; i < kVectorSize; ++i) {
        const std::uint64_t bits = mix(id * kVectorSize + i) >> 40;  // 24 bits: exact in a float
        vector[i] = static_cast<float>(bits) / static_cast<float>(1 << 23) - 1.0F;
    }
    return vector;
}

WriteOutcome classify_write(const Status& outcome) {
    if (outcome) return WriteOutcome::kOk;
    const Error& error = outcome.error();
    switch (error.code) {
        // Refused, yet perhaps not without effect: a reused connection may die after the request
        // went out, and the refusal is then that of its repetition.
        case ErrorCode::kConnectionRefused:
        case ErrorCode::kUnreachable:
        case ErrorCode::kAuthentication:
        case ErrorCode::kPermission:
        case ErrorCode::kNotFound:
        case ErrorCode::kServer:
            return error.effect == Effect::kNone ? WriteOutcome::kFail : WriteOutcome::kUnknown;
        default: return WriteOutcome::kUnknown;
    }
}

WriteOutcome combine_tries(WriteOutcome first, WriteOutcome second) {
    if (first == WriteOutcome::kOk || second == WriteOutcome::kOk) return WriteOutcome::kOk;
    if (first == WriteOutcome::kUnknown || second == WriteOutcome::kUnknown)
        return WriteOutcome::kUnknown;
    return WriteOutcome::kFail;
}

std::unique_ptr<engine::Writer> make_writer(std::vector<NamedClient> nodes, std::string collection,
                                            const env::Env& env) {
    return std::make_unique<NodesWriter>(std::move(nodes), std::move(collection), env);
}

}  // namespace aeterna::qdrant
