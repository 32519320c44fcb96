#include "repository/log_merge_plan.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace aeterna::repository {
namespace {

// From the highest level down: what can reach far at once, does.
constexpr std::array<std::uint64_t, 3> kLevels = {4 << 20, 512 << 10, 64 << 10};

// A piece, or some that become one.
struct Part {
    std::uint64_t start = 0, end = 0;
    MergeGroup members;
    [[nodiscard]] std::uint64_t size() const { return end - start; }
};

// Neighbours below `level`, while they are collected.
class Run {
  public:
    Run(std::uint64_t level, std::vector<Part>& out) : level_(level), out_(out) {}

    void add(Part part) {
        const bool is_large = part.size() >= level_;
        const bool is_apart = !parts_.empty() && part.start > parts_.back().end;
        if (is_large || is_apart) close(true);
        if (is_large) {
            out_.push_back(std::move(part));
            return;
        }
        parts_.push_back(std::move(part));
        if (parts_.back().end - parts_.front().start >= level_) join();
    }
    // Nothing can be added: it becomes one, or stays as it is where something may still come.
    void close(bool is_final) {
        if (is_final) return join();
        std::move(parts_.begin(), parts_.end(), std::back_inserter(out_));
        parts_.clear();
    }

  private:
    void join() {
        if (parts_.empty()) return;
        Part whole = std::move(parts_.front());
        for (auto part = parts_.begin() + 1; part != parts_.end(); ++part) {
            whole.end = std::max(whole.end, part->end);
            std::move(part->members.begin(), part->members.end(), std::back_inserter(whole.members));
        }
        out_.push_back(std::move(whole));
        parts_.clear();
    }

    const std::uint64_t level_;
    std::vector<Part>& out_;
    std::vector<Part> parts_;
};

}  // namespace

std::vector<MergeGroup> plan_merge(const std::vector<LogPiece>& pieces, bool has_ended) {
    std::vector<Part> parts;
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
        parts.push_back({pieces[i].start, pieces[i].end.value_or(pieces[i + 1].start), {pieces[i]}});
    }
    for (const std::uint64_t level : kLevels) {
        std::vector<Part> joined;
        Run run(level, joined);
        for (Part& part : parts) run.add(std::move(part));
        run.close(has_ended);
        parts = std::move(joined);
    }
    std::vector<MergeGroup> groups;
    for (Part& part : parts) {
        if (part.members.size() > 1) groups.push_back(std::move(part.members));
    }
    return groups;
}

}  // namespace aeterna::repository
