#include "repository/pipeline/copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "repository/log_pieces.h"
#include "repository/log_segments.h"
#include "repository/pipeline/bounded_queue.h"
#include "repository/pipeline/garbage.h"
#include "repository/pipeline/job.h"
#include "repository/pipeline/pack_check.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kMostCopyProblems = 100;
constexpr std::size_t kWaitingCopies = 8;
constexpr std::size_t kCopyChunk = 4 << 20;
// An object that vanished while it was to be copied was replaced by a prune or a merge: then everything is listed again.
constexpr int kMostRounds = 20;

using Sizes = std::map<std::string, std::uint64_t>;

Result<Sizes> list_sizes(Storage& storage, const std::string& prefix, const env::Context& context) {
    Sizes sizes;
    AETERNA_TRY(storage.list(
        prefix,
        [&](const ObjectInfo& object) {
            sizes.emplace(object.name, object.bytes);
            return true;
        },
        context));
    return sizes;
}

class Copy {
  public:
    Copy(Repository& from, Storage& to, const CopyRequest& request, const env::Context& context)
        : from_(from), to_(to), request_(request), job_(context) {}

    Result<CopyReport> run() { return job_.outcome(copy()); }

  private:
    Result<CopyReport> copy() {
        AETERNA_TRY(check_target());
        AETERNA_ASSIGN(session_, Session::begin(to_, SessionKind::kWrite, from_.ports(), context()));
        for (int round = 0; round < kMostRounds; ++round) {
            has_vanished_ = false;
            present_ = 0;
            report_.problems.clear();
            report_.problem_count = 0;
            AETERNA_TRY(copy_round());
            if (has_vanished_) continue;
            report_.objects = copied_;
            report_.bytes = copied_bytes_;
            report_.present = present_;
            return std::move(report_);
        }
        return make_error(ErrorCode::kUnavailable, "the repository changes faster than it can be copied", "Try it again.");
    }

    [[nodiscard]] const env::Context& context() const { return job_.context(); }

    Status check_target() {
        const auto there = read_object(to_, "config", 1 << 20, context());
        if (!there && there.error().code == ErrorCode::kNotFound) return {};
        if (!there) return there.error();
        AETERNA_ASSIGN(const std::string ours, read_object(from_.storage(), "config", 1 << 20, context()));
        if (*there == ours) return {};
        return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' holds another repository", to_.describe()),
                          "Name an empty place, or a copy of this repository.");
    }

    // Listed against the order of writing: what a listed backup refers to is in the lists that follow.
    Status copy_round() {
        AETERNA_ASSIGN(const Sizes backups, list_sizes(from_.storage(), "backups/", context()));
        AETERNA_ASSIGN(const Sizes keys, list_sizes(from_.storage(), "keys/", context()));
        AETERNA_ASSIGN(const Sizes logs, list_sizes(from_.storage(), "logs/", context()));
        AETERNA_ASSIGN(const Sizes segments, list_sizes(from_.storage(), "index/", context()));
        AETERNA_ASSIGN(there_, list_sizes(to_, "", context()));
        AETERNA_TRY(copy_packs(segments));
        AETERNA_TRY(job_.status());
        if (has_vanished_) return {};
        AETERNA_TRY(copy_small(segments, EntryType::kIndexSegment));
        AETERNA_TRY(copy_small(logs, EntryType::kLogPiece));
        AETERNA_TRY(remove_merged(logs));
        AETERNA_TRY(copy_keys(keys));
        AETERNA_TRY(copy_small(backups, EntryType::kBackup));
        if (has_vanished_ || there_.count("config") > 0) return {};
        AETERNA_ASSIGN(const std::string config, read_object(from_.storage(), "config", 1 << 20, context()));
        return put("config", config);
    }

    [[nodiscard]] bool is_there(const std::string& name, std::uint64_t bytes) const {
        const auto found = there_.find(name);
        return found != there_.end() && found->second == bytes;
    }

    // ------------------------------------------------------------------------------------------ packs

    Status copy_packs(const Sizes& segments) {
        BoundedQueue<PackContents> waiting(from_.ports().threads, kWaitingCopies);
        std::vector<std::unique_ptr<env::Thread>> threads;
        for (unsigned i = 0; i < std::max(1U, request_.workers); ++i) {
            threads.push_back(from_.ports().threads.start("repo-copy", [&](const std::stop_token&) {
                EntryReader reader(from_, context());
                while (auto pack = waiting.pop(context())) {
                    if (!job_.check(copy_pack(*pack, reader))) return;
                }
            }));
        }
        const Status listed = push_packs(segments, waiting);
        job_.check(listed);
        waiting.close();
        for (const auto& thread : threads) thread->join();
        return job_.status();
    }

    Status push_packs(const Sizes& segments, BoundedQueue<PackContents>& waiting) {
        std::set<PackId> seen;
        for (const auto& [name, bytes] : segments) {
            auto packs = read_packs(from_, name, context());
            if (!packs && packs.error().code == ErrorCode::kNotFound) {
                has_vanished_ = true;
                continue;
            }
            if (!packs) return packs.error();
            for (PackContents& pack : *packs) {
                if (!seen.insert(pack.id).second) continue;
                if (is_there(pack_name(pack.id), pack.bytes)) {
                    ++present_;
                    continue;
                }
                if (!waiting.push(std::move(pack), context())) return job_.reason();
                report_progress();
            }
        }
        return {};
    }

    // Missing here: what `check` is for; of the copy it is told.
    Status copy_pack(const PackContents& pack, EntryReader& reader) {
        const std::string name = pack_name(pack.id);
        if (pack.bytes > kMostPackBytes) return add_problem(fmt::format("'{}' has an impossible length", name));
        std::string bytes(pack.bytes, '\0');
        const auto got = from_.storage().read(name, 0, bytes, context());
        if (!got && got.error().code == ErrorCode::kNotFound) return add_problem(fmt::format("'{}' is missing", name));
        if (!got) return got.error();
        bytes.resize(*got);
        if (const PackFindings findings = examine_pack(reader, locations_of(pack), bytes); !findings.is_sound()) {
            return add_problem(fmt::format("'{}' is damaged", name));
        }
        if (there_.count(name) > 0) AETERNA_TRY(to_.remove(name, context()));
        AETERNA_ASSIGN(const auto writer, to_.create(name, context()));
        for (std::size_t begin = 0; begin < bytes.size(); begin += kCopyChunk) {
            AETERNA_TRY(writer->append(bytes_of(bytes).subspan(begin, std::min(kCopyChunk, bytes.size() - begin)), context()));
        }
        AETERNA_TRY(writer->commit(context()));
        ++copied_;
        copied_bytes_ += bytes.size();
        return {};
    }

    // ------------------------------------------------------------------------------------------ small objects

    Status copy_small(const Sizes& objects, EntryType type) {
        Compressor compressor;
        for (const auto& [name, bytes] : objects) {
            report_progress();
            const bool is_mark = name.ends_with("/mark");  // of one length, whatever it says
            if (is_there(name, bytes) && !is_mark) {
                ++present_;
                continue;
            }
            const auto object = read_object(from_.storage(), name, 2 * kMaxEntryBytes, context());
            if (!object && object.error().code == ErrorCode::kNotFound) {
                has_vanished_ = true;
                continue;
            }
            if (!object) return object.error();
            const auto opened = open_object(type, name, bytes_of(*object), from_.keys(), compressor);
            if (!opened && object->size() != bytes) {
                has_vanished_ = true;  // a merge has put another one in its place meanwhile
                continue;
            }
            if (!opened) {
                AETERNA_TRY(add_problem(fmt::format("'{}' is damaged", name)));
                continue;
            }
            AETERNA_TRY(put(name, *object));
        }
        return {};
    }

    // Key envelopes are JSON with a checksum of their own.
    Status copy_keys(const Sizes& keys) {
        for (const auto& [name, bytes] : keys) {
            if (is_there(name, bytes)) continue;
            AETERNA_ASSIGN(const std::string envelope, read_object(from_.storage(), name, 1 << 20, context()));
            if (describe_envelope(envelope)) AETERNA_TRY(put(name, envelope));
            else AETERNA_TRY(add_problem(fmt::format("'{}' is damaged", name)));
        }
        report_.own_keys = 0;
        for (auto key = there_.lower_bound("keys/"); key != there_.end() && key->first.starts_with("keys/"); ++key) {
            report_.own_keys += keys.count(key->first) == 0 ? 1 : 0;
        }
        return {};
    }

    Status put(const std::string& name, const std::string& bytes) {
        AETERNA_TRY(to_.put(name, bytes_of(bytes), PutMode::kOverwrite, context()));
        there_[name] = bytes.size();
        ++copied_;
        copied_bytes_ += bytes.size();
        return {};
    }

    // Pieces of the copy that the first place has merged: one that contained them was durable before they went, and it or a
    // larger one is listed. What was trimmed there stays here.
    Status remove_merged(const Sizes& logs) {
        if (has_vanished_) return {};
        std::map<std::string, std::vector<LogPiece>> merged;  // by folder, that are here by now
        std::set<std::string> incomplete;
        for (const auto& [name, bytes] : logs) {
            const auto [folder, piece] = piece_of(name);
            if (!piece) continue;
            if (!is_there(name, bytes)) incomplete.insert(folder);
            if (piece->is_merged()) merged[folder].push_back(*piece);
        }
        std::vector<std::string> gone;
        for (auto there = there_.lower_bound("logs/"); there != there_.end() && there->first.starts_with("logs/"); ++there) {
            const auto [folder, piece] = piece_of(there->first);
            if (!piece || logs.count(there->first) > 0 || incomplete.count(folder) > 0) continue;
            const bool is_inside = contains(merged[folder], *piece);
            if (is_inside) gone.push_back(there->first);
        }
        for (const std::string& name : gone) AETERNA_TRY(to_.remove(name, context()));
        return {};
    }
    // `holders` in order. An appended piece went as a whole.
    static bool contains(const std::vector<LogPiece>& holders, const LogPiece& piece) {
        auto next = std::upper_bound(holders.begin(), holders.end(), LogPiece{piece.start, UINT64_MAX});
        while (next != holders.begin() && (--next)->start + kMostLogPiece > piece.start) {
            if (next->has(piece.start) && piece.end.value_or(piece.start) <= *next->end) return true;
        }
        return false;
    }
    static std::pair<std::string, std::optional<LogPiece>> piece_of(const std::string& name) {
        const std::size_t folder = name.rfind('/') + 1;
        return {name.substr(0, folder), parse_piece(std::string_view(name).substr(folder))};
    }

    // ------------------------------------------------------------------------------------------ small things

    Status add_problem(std::string text) {
        const std::lock_guard lock(problems_mutex_);
        ++report_.problem_count;
        if (report_.problems.size() < kMostCopyProblems) report_.problems.push_back(std::move(text));
        return {};
    }

    void report_progress() { pace_.tell({copied_, copied_bytes_, 0}); }

    Repository& from_;
    Storage& to_;
    const CopyRequest& request_;
    Job job_;
    std::unique_ptr<Session> session_;
    Sizes there_;
    std::atomic<bool> has_vanished_{false};
    std::atomic<std::uint64_t> copied_{0}, copied_bytes_{0};
    std::uint64_t present_ = 0;
    ProgressPace pace_{request_.progress, from_.ports().clock};
    std::mutex problems_mutex_;
    CopyReport report_;
};

}  // namespace

Result<CopyReport> copy_repository(Repository& from, Storage& to, const CopyRequest& request,
                                   const env::Context& context) {
    Copy copy(from, to, request, context);
    return copy.run();
}

}  // namespace aeterna::repository
