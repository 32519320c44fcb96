#include "engine/drill/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace aeterna::engine {
namespace {

constexpr std::string_view kMagic = "aeterna-dr-ledger-1";

// Tabs and line ends would tear the line apart.
std::string field(std::string_view text) {
    std::string clean = one_line(text, 160);
    for (char& c : clean) {
        if (c == '\t') c = ' ';
    }
    return clean.empty() ? "-" : clean;
}

std::string unfield(std::string_view text) { return text == "-" ? std::string() : std::string(text); }

WriteOutcome outcome_from_name(std::string_view name) {
    if (name == "ok") return WriteOutcome::kOk;
    if (name == "fail") return WriteOutcome::kFail;
    return WriteOutcome::kUnknown;
}

Error not_a_ledger(std::size_t line) {
    return make_error(ErrorCode::kProtocol, fmt::format("line {} is not a ledger line", line));
}

struct LedgerReader {
    LedgerContent content;
    std::unordered_map<std::uint64_t, std::size_t> position;

    [[nodiscard]] MonoTime at(std::int64_t microseconds) const {
        return content.started + std::chrono::microseconds(microseconds);
    }

    bool read_intent(const std::vector<std::string_view>& parts) {
        if (parts.size() != 5) return false;
        const auto id = to_integer(parts[1]), path = to_integer(parts[2]);
        const auto intended = to_integer(parts[3]), sent = to_integer(parts[4]);
        if (!id || !path || !intended || !sent || *path < 0 ||
            static_cast<std::size_t>(*path) >= content.paths.size()) {
            return false;
        }
        LedgerEntry entry;
        entry.id = static_cast<std::uint64_t>(*id);
        entry.path = static_cast<std::uint32_t>(*path);
        entry.intended = at(*intended);
        entry.sent = at(*sent);
        position[entry.id] = content.entries.size();
        content.entries.push_back(std::move(entry));
        return true;
    }

    bool read_outcome(const std::vector<std::string_view>& parts) {
        if (parts.size() != 6) return false;
        const auto id = to_integer(parts[1]), done = to_integer(parts[3]);
        if (!id || !done) return false;
        const auto found = position.find(static_cast<std::uint64_t>(*id));
        if (found == position.end()) return false;
        LedgerEntry& entry = content.entries[found->second];
        entry.outcome = outcome_from_name(parts[2]);
        entry.done = at(*done);
        entry.node = unfield(parts[4]);
        entry.error = unfield(parts[5]);
        return true;
    }
};

}  // namespace

std::string_view write_outcome_name(WriteOutcome outcome) {
    switch (outcome) {
        case WriteOutcome::kOk: return "ok";
        case WriteOutcome::kFail: return "fail";
        case WriteOutcome::kUnknown: return "unknown";
    }
    return "unknown";
}

std::string_view fault_kind_name(FaultKind kind) {
    return kind == FaultKind::kKill ? "kill" : "pause";
}

WallTime LedgerContent::wall(MonoTime time) const {
    return started_wall + std::chrono::duration_cast<WallTime::duration>(time - started);
}

MonoTime LedgerContent::mono(WallTime time) const {
    return started + std::chrono::duration_cast<Duration>(time - started_wall);
}

MonoTime LedgerContent::last() const {
    MonoTime latest = started;
    for (const LedgerEntry& entry : entries) latest = std::max({latest, entry.sent, entry.done.value_or(latest)});
    return latest;
}

Ledger::Ledger(LedgerContent content, std::unique_ptr<env::AppendFile> file)
    : content_(std::move(content)), file_(std::move(file)) {}

Result<std::unique_ptr<Ledger>> Ledger::create(const std::string& file, std::string drill_id,
                                               std::string store, std::vector<LedgerPath> paths,
                                               const env::Env& env) {
    AETERNA_ASSIGN(auto handle, env.files.open_append(file));
    LedgerContent content;
    content.drill_id = std::move(drill_id);
    content.store = std::move(store);
    content.started = env.clock.now();
    content.started_wall = env.clock.wall_now();
    content.paths = std::move(paths);
    std::string header = fmt::format("{}\t{}\t{}\t{}", kMagic, content.drill_id, content.store,
                                     to_unix_us(content.started_wall));
    for (const LedgerPath& path : content.paths) {
        header += fmt::format("\t{}:{}", path.kind == PathKind::kClient ? "client" : "direct", path.name);
    }
    header += '\n';
    AETERNA_TRY(handle->append(header));
    return std::unique_ptr<Ledger>(new Ledger(std::move(content), std::move(handle)));
}

long long Ledger::offset_us(MonoTime time) const {
    return std::chrono::duration_cast<std::chrono::microseconds>(time - content_.started).count();
}

Status Ledger::intend(std::uint64_t id, std::uint32_t path, MonoTime intended, MonoTime sent) {
    const std::lock_guard lock(mutex_);
    AETERNA_TRY(file_->append(
        fmt::format("I\t{}\t{}\t{}\t{}\n", id, path, offset_us(intended), offset_us(sent))));
    position_[id] = content_.entries.size();
    LedgerEntry entry;
    entry.id = id;
    entry.path = path;
    entry.intended = intended;
    entry.sent = sent;
    content_.entries.push_back(std::move(entry));
    return {};
}

Status Ledger::settle(std::uint64_t id, MonoTime done, const WriteReply& reply) {
    const std::lock_guard lock(mutex_);
    const auto found = position_.find(id);
    if (found == position_.end()) {
        return make_error(ErrorCode::kInternal, fmt::format("write {} was never intended", id));
    }
    AETERNA_TRY(file_->append(fmt::format("O\t{}\t{}\t{}\t{}\t{}\n", id, write_outcome_name(reply.outcome),
                                          offset_us(done), field(reply.node), field(reply.error))));
    LedgerEntry& entry = content_.entries[found->second];
    entry.done = done;
    entry.outcome = reply.outcome;
    entry.node = reply.node;
    entry.error = reply.error;
    return {};
}

LedgerContent Ledger::snapshot() const {
    const std::lock_guard lock(mutex_);
    return content_;
}

Status Ledger::sync() {
    const std::lock_guard lock(mutex_);
    return file_->sync();
}

Result<LedgerContent> parse_ledger(std::string_view text) {
    // A torn tail is what a crash leaves: only whole lines count.
    const std::size_t last_end = text.rfind('\n');
    if (last_end == std::string_view::npos) return not_a_ledger(1);
    const std::vector<std::string_view> lines = split(text.substr(0, last_end), '\n');
    const std::vector<std::string_view> header = split(lines.front(), '\t');
    const auto started = header.size() >= 4 ? to_integer(header[3]) : std::nullopt;
    if (header.size() < 4 || header[0] != kMagic || !started) return not_a_ledger(1);
    LedgerReader reader;
    reader.content.drill_id = header[1];
    reader.content.store = header[2];
    reader.content.started_wall = from_unix_us(*started);
    for (std::size_t i = 4; i < header.size(); ++i) {
        const std::size_t colon = header[i].find(':');
        if (colon == std::string_view::npos) return not_a_ledger(1);
        const PathKind kind = header[i].substr(0, colon) == "client" ? PathKind::kClient : PathKind::kDirect;
        reader.content.paths.push_back({std::string(header[i].substr(colon + 1)), kind});
    }
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const std::vector<std::string_view> parts = split(lines[i], '\t');
        const bool good = (parts[0] == "I" && reader.read_intent(parts)) ||
                          (parts[0] == "O" && reader.read_outcome(parts));
        if (!good) return not_a_ledger(i + 1);
    }
    return std::move(reader.content);
}

}  // namespace aeterna::engine
