// postgres.salvage
// Does: copies the WAL that only the fenced primary has (from where the new one forked off) into
// STATE_DIRECTORY/salvage/EXECUTION/postgres, before pg_rewind overwrites it, and counts the commits in it. Needs: the
// host's files; pg_waldump for the count. Changes: nothing at the node. Undo: none; the files are for people. What cannot
// be kept is not silently destroyed: then a person decides.
#include <fmt/core.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/client/patroni.h"
#include "postgres/client/wal.h"
#include "postgres/steps/assist.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kSalvageSpec{"postgres.salvage", "keep the WAL that only the lost primary has",
                                        engine::Risk::kReadOnly, 2min, false};

namespace {

constexpr std::size_t kHeaderBytes = 40;
constexpr std::size_t kLargestSegmentBytes = std::size_t{1} << 30;

struct Salvaged {
    std::string directory;
    std::size_t files = 0;
    std::uint64_t bytes = 0;
    std::uint32_t timeline = 0;
    std::uint64_t fork_lsn = 0;
    std::string first;  // segment
};

class Salvage final : public engine::Step {
  public:
    explicit Salvage(StepParts parts) : parts_(std::move(parts)), patroni_(parts_.settings, parts_.env) {}

    const engine::StepSpec& spec() const override { return kSalvageSpec; }

    std::string describe() const override {
        return "copy the WAL that only the lost primary has below '" + parts_.settings.state_directory + "/salvage'";
    }

    std::string condition() const override {
        return engine::assist_condition(parts_.assist, "this execution holds the old primary fenced and another node was promoted");
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (step.facts.contains("salvaged")) return engine::CheckOutcome::kAlreadyDone;
        const bool is_due = !fenced_nodes(step.facts).empty() &&
                            fact(step.facts, "new_primary") != fact(step.facts, "old_primary");
        return is_due ? engine::CheckOutcome::kReady : engine::CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        auto salvaged = copy(step);
        if (!salvaged) {
            return make_error(ErrorCode::kAwaitingApproval,
                              "what only '" + fact(step.facts, "old_primary") +
                                  "' has could not be kept: " + salvaged.error().to_string(),
                              "Make it possible and resume this execution, or give it up with 'aeterna-dr unfence'.");
        }
        const auto commits = count_commits(*salvaged, step.context);
        const std::string count = commits ? fmt::format("{} transactions committed there", *commits)
                                          : std::string("the transactions in it were not counted");
        const std::string summary =
            fmt::format("WAL of timeline {} from {} on: {} ({} files in '{}')", salvaged->timeline,
                        format_lsn(salvaged->fork_lsn), count, salvaged->files, salvaged->directory);
        step.facts["salvaged"] = Json{{"directory", salvaged->directory},
                                      {"files", salvaged->files},
                                      {"bytes", salvaged->bytes},
                                      {"summary", summary},
                                      {"lost_writes", commits ? Json(*commits) : Json(nullptr)}};
        step.progress("salvaged: " + summary);
        return {};
    }

    Status verify(engine::StepContext& step) override {
        const Json* salvaged = find_member(step.facts, "salvaged");
        const std::string directory = salvaged ? find_string(*salvaged, "directory").value_or("") : "";
        const auto names = parts_.env.files.list(directory);
        const auto expected = salvaged ? find_integer(*salvaged, "files").value_or(0) : 0;
        if (names && names->size() >= static_cast<std::size_t>(expected)) return {};
        return make_error(ErrorCode::kIo, "the salvaged files are not in '" + directory + "'");
    }

  private:
    // The fork as Patroni's history names it, if it does already; else what the new primary had received when the
    // old one was lost, which is never later.
    std::uint64_t fork_of(const engine::StepContext& step, std::uint32_t timeline) const {
        const NodeSettings* primary = parts_.settings.find(fact(step.facts, "new_primary"));
        if (primary) {
            const auto history = patroni_.history(*primary, parts_.env.clock.within(1s, step.context));
            if (history && !history->empty() && history->back().timeline == timeline) {
                return static_cast<std::uint64_t>(history->back().lsn);
            }
        }
        const Json* proof = find_member(step.facts, "prove_loss");
        const Json* received = proof ? find_member(*proof, "received") : nullptr;
        const auto of_primary = received && primary ? find_integer(*received, primary->name) : std::nullopt;
        return static_cast<std::uint64_t>(of_primary.value_or(0));
    }

    Result<Salvaged> copy(engine::StepContext& step) {
        const std::string old = fact(step.facts, "old_primary");
        AETERNA_ASSIGN(const auto executor, executor_of(parts_.settings, old, parts_.env));
        AETERNA_ASSIGN(const std::string data, executor->data_directory(old, step.context));
        AETERNA_ASSIGN(const auto names, executor->list_files(data + "/pg_wal", step.context));
        Salvaged result;
        for (const std::string& name : names) {
            const auto segment = parse_wal_segment_name(name);
            if (segment) result.timeline = std::max(result.timeline, segment->timeline);
        }
        if (result.timeline == 0) return make_error(ErrorCode::kNotFound, "'" + data + "/pg_wal' has no segments");
        result.fork_lsn = fork_of(step, result.timeline);
        result.directory = fmt::format("{}/salvage/{}/postgres", parts_.settings.state_directory, step.context.run_id);
        AETERNA_TRY(parts_.env.files.make_directories(result.directory));
        for (const std::string& name : names) {
            AETERNA_ASSIGN(const bool goes_on, copy_segment(*executor, data + "/pg_wal/", name, result, step.context));
            if (!goes_on) break;
        }
        return result;
    }

    // Names come sorted. False behind the last written segment: what follows was only made ready for later.
    Result<bool> copy_segment(hosts::Executor& executor, const std::string& folder, const std::string& name,
                              Salvaged& result, const env::Context& context) {
        const auto segment = parse_wal_segment_name(name);
        const bool is_history = name.ends_with(".history");
        if (!is_history && (!segment || segment->timeline != result.timeline)) return true;
        AETERNA_ASSIGN(const std::string content, executor.read_file(folder + name, kLargestSegmentBytes, context));
        if (segment) {
            const std::uint64_t begin = segment->begin_lsn(content.size());
            if (begin + content.size() <= result.fork_lsn) return true;
            const auto header = parse_wal_segment_header(std::string_view(content).substr(0, kHeaderBytes));
            if (!header || header->page_lsn != begin) return false;
            if (result.first.empty()) result.first = name;
        }
        AETERNA_TRY(parts_.env.files.write_durable(result.directory + "/" + name, content));
        ++result.files;
        result.bytes += content.size();
        return true;
    }

    // Nothing when pg_waldump is not here.
    std::optional<std::int64_t> count_commits(const Salvaged& salvaged, const env::Context& context) {
        if (salvaged.first.empty()) return 0;
        std::vector<std::string> folders;
        for (int version = 18; version >= 12; --version) folders.push_back(fmt::format("/usr/lib/postgresql/{}/bin", version));
        const auto program = parts_.env.processes.find_program("pg_waldump", folders);
        if (!program) return std::nullopt;
        env::RunOptions options;
        options.argv = {*program, "--path=" + salvaged.directory, fmt::format("--timeline={}", salvaged.timeline),
                        "--start=" + format_lsn(salvaged.fork_lsn), "--rmgr=Transaction"};
        options.output_limit_bytes = 64 << 20;
        // Its end is always an error: the log of a killed server ends in the middle of nothing.
        const auto done = parts_.env.processes.run(options, parts_.env.clock.within(20s, context));
        if (!done) return std::nullopt;
        std::int64_t commits = 0;
        for (const std::string_view line : split(done->output, '\n')) {
            if (line.find("desc: COMMIT") != std::string_view::npos) ++commits;
        }
        return commits;
    }

    StepParts parts_;
    Patroni patroni_;
};

}  // namespace

std::unique_ptr<engine::Step> make_salvage(StepParts parts) { return std::make_unique<Salvage>(std::move(parts)); }

}  // namespace aeterna::postgres
