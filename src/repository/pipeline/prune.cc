#include "repository/pipeline/prune.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "repository/pipeline/chunk_store.h"
#include "repository/pipeline/damage_notes.h"
#include "repository/pipeline/garbage.h"
#include "repository/pipeline/live_set.h"
#include "repository/sessions.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kPrunedIndex = "index/", kPacks = "packs/";

class Prune {
  public:
    Prune(Repository& repository, const PruneRequest& request, const env::Context& context)
        : repository_(repository), storage_(repository.storage()), request_(request), job_(context),
          reader_(repository, job_.context()), notes_(repository, job_.context()) {}

    Result<PruneReport> run() { return job_.outcome(prune()); }

  private:
    Result<PruneReport> prune() {
        AETERNA_ASSIGN(const auto backups, repository_.catalog().all(context()));
        // The clock that every writer and pruner shares.
        AETERNA_ASSIGN(const WallTime wall, storage_.now(context()));
        AETERNA_ASSIGN(const auto damaged, find_damaged(backups));
        report_.decisions = decide_retention(backups, request_.policy, wall, damaged);
        if (request_.dry_run) {
            for (std::size_t i = 0; i < backups.size(); ++i) {
                if (report_.decisions[i].is_kept) note_log_user(backups[i]);
            }
            AETERNA_TRY(judge_logs());
            return std::move(report_);
        }
        AETERNA_ASSIGN(session_, Session::begin(storage_, SessionKind::kPrune, repository_.ports(), context()));
        AETERNA_TRY(find_horizon());
        AETERNA_TRY(repository_.index().refresh(true, context()));
        AETERNA_TRY(notes_.read());
        AETERNA_TRY(forget_and_mark(backups));
        AETERNA_TRY(list_packs());
        AETERNA_TRY(rewrite_index());
        AETERNA_TRY(bring_back());
        AETERNA_TRY(remove_garbage());
        AETERNA_TRY(remove_unknown_packs());
        AETERNA_TRY(forget_damage());
        AETERNA_TRY(judge_logs());
        AETERNA_TRY(cut_logs());
        AETERNA_TRY(storage_.sweep_unfinished(horizon_, context()));
        return std::move(report_);
    }

    [[nodiscard]] const env::Context& context() const { return job_.context(); }

    // Only where a check has noted damage: otherwise nobody knows of any.
    Result<std::set<std::string>> find_damaged(const std::vector<Backup>& backups) {
        std::set<std::string> damaged;
        if (!repository_.index().has_damage()) return damaged;
        for (const Backup& backup : backups) {
            AETERNA_ASSIGN(const bool is_whole, has_everything(reader_, backup));
            if (!is_whole) damaged.insert(backup.id);
        }
        return damaged;
    }

    // The oldest start among the live sessions; our own at the latest.
    Status find_horizon() {
        horizon_ = session_->started();
        AETERNA_ASSIGN(const auto sessions, list_sessions(storage_, context()));
        for (const SessionInfo& other : sessions) {
            if (other.name == session_->name() || other.is_stale) continue;
            if (other.kind == SessionKind::kPrune) {
                return make_error(ErrorCode::kLocked, "another prune is running",
                                  fmt::format("Wait for its end. If it has died, it counts as running until {}.",
                                              format_time(other.refreshed + kSessionStale)));
            }
            horizon_ = std::min(horizon_, other.started);
        }
        return {};
    }

    Status forget_and_mark(const std::vector<Backup>& backups) {
        for (std::size_t i = 0; i < backups.size(); ++i) {
            if (report_.decisions[i].is_kept) AETERNA_TRY(mark(backups[i]));
        }
        for (std::size_t i = 0; i < backups.size(); ++i) {
            if (report_.decisions[i].is_kept) continue;
            AETERNA_TRY(storage_.remove(backup_object_name(backups[i].id), context()));
            marked_.insert(backups[i].id);
        }
        // Committed since the decision: kept, of course.
        return mark_new_backups();
    }

    Status mark(const Backup& backup) {
        marked_.insert(backup.id);
        note_log_user(backup);
        const Status added = live_.add_backup(reader_, backup);
        return added ? added
                     : Status(wrap_error(added.error(), fmt::format("nothing was pruned: backup '{}' cannot be read whole", backup.id)));
    }

    Status mark_new_backups() {
        AETERNA_ASSIGN(const auto ids, repository_.catalog().ids(context()));
        // After the list: what a listed backup refers to is in the index by now.
        AETERNA_TRY(repository_.index().refresh(false, context()));
        for (const std::string& id : ids) {
            if (marked_.count(id) > 0) continue;
            AETERNA_ASSIGN(const Backup backup, repository_.catalog().read(id, context()));
            AETERNA_TRY(mark(backup));
        }
        live_.seal();
        return {};
    }

    Status list_packs() {
        return storage_.list(
            std::string(kPacks),
            [&](const ObjectInfo& object) {
                packs_.emplace(object.name, object);
                return true;
            },
            context());
    }

    // ------------------------------------------------------------------------------------------ the index

    Status rewrite_index() {
        AETERNA_ASSIGN(const auto names, list_names(storage_, kPrunedIndex, context()));
        std::vector<std::string> replaced;
        for (const std::string& name : names) {
            AETERNA_ASSIGN(const auto packs, read_packs(repository_, name, context()));
            for (const PackContents& pack : packs) {
                if (!goes(pack)) indexed_.insert(pack_name(pack.id));
            }
            if (std::none_of(packs.begin(), packs.end(), [&](const auto& pack) { return goes(pack); })) continue;
            std::vector<PackContents> kept;
            for (const PackContents& pack : packs) {
                if (!goes(pack)) {
                    kept.push_back(pack);
                } else {
                    AETERNA_TRY(copy_needed(pack));
                    garbage_.push_back(pack);
                }
            }
            if (!kept.empty()) AETERNA_TRY(put_packs(repository_, kPrunedIndex, kept, context()));
            replaced.push_back(name);
        }
        // Damage that no check has noted, and that no other copy makes up for.
        if (!uncopied_.empty()) return uncopied_.begin()->second;
        if (store_) {
            AETERNA_TRY(lane_->finish());
            AETERNA_TRY(store_->finish());
        }
        return notes_.replace_segments(replaced, garbage_);
    }

    [[nodiscard]] bool goes(const PackContents& pack) const {
        const auto object = packs_.find(pack_name(pack.id));
        // Damaged or missing, and noted by a check: when nothing in it is missed any more.
        if (repository_.index().is_damaged(pack.id)) return !is_missed(pack);
        if (object == packs_.end()) return false;  // missing: what `check` is for
        if (object->second.modified >= horizon_) return false;
        std::uint64_t needed = 0, all = 0;
        for (const SealedEntry& entry : pack.entries) {
            all += entry.sealed_bytes;
            if (live_.has(entry.id)) needed += entry.sealed_bytes;
        }
        return needed == 0 || needed * 2 < all;
    }

    // Something that a backup needs is damaged there and nowhere else sound.
    [[nodiscard]] bool is_missed(const PackContents& pack) const {
        return std::any_of(pack.entries.begin(), pack.entries.end(), [&](const SealedEntry& entry) {
            if (!live_.has(entry.id) || !repository_.index().is_damaged(Location{pack.id, 0, entry})) return false;
            const auto sound = repository_.index().find(entry.id);
            return !sound || !*sound;
        });
    }

    // Into a new pack, although the index knows the entries; once, however many packs that go have them.
    Status copy_needed(const PackContents& pack) {
        std::string sealed, plain;
        for (const Location& place : locations_of(pack)) {
            if (!live_.has(place.entry.id) || copied_.contains(place.entry.id) || repository_.index().is_damaged(place)) continue;
            if (!store_) {
                store_ = std::make_unique<ChunkStore>(storage_, repository_.keys(), repository_.index(),
                                                      repository_.ports(), job_);
                lane_ = store_->make_lane();
            }
            sealed.resize(place.entry.sealed_bytes);
            AETERNA_ASSIGN(const std::size_t got, storage_.read(pack_name(pack.id), place.offset, sealed, context()));
            if (Status opened = reader_.open(place, bytes_of(sealed).first(got), plain); !opened) {
                if (opened.error().code != ErrorCode::kCorrupt) return opened;
                uncopied_.emplace(place.entry.id, std::move(opened).error());
                continue;
            }
            AETERNA_TRY(lane_->put_again(place.entry.type, place.entry.id, bytes_of(plain)));
            copied_.insert(place.entry.id);
            uncopied_.erase(place.entry.id);
            report_.copied_bytes += place.entry.sealed_bytes;
        }
        return {};
    }

    // ------------------------------------------------------------------------------------------ garbage

    // Packs that a note names and that a backup needs after all, are named by the index again.
    Status bring_back() {
        AETERNA_TRY(mark_new_backups());
        return notes_.bring_back(live_, indexed_);
    }

    Status remove_garbage() {
        AETERNA_ASSIGN(const auto sessions, list_sessions(storage_, context()));
        std::vector<SessionInfo> others;
        for (const SessionInfo& other : sessions) {
            if (other.name != session_->name() && !other.is_stale) others.push_back(other);
        }
        AETERNA_ASSIGN(const GarbageCount count, notes_.remove(others, indexed_));
        report_.removed_packs = count.removed_packs;
        report_.removed_bytes = count.removed_bytes;
        report_.waiting_packs = count.waiting_packs;
        return {};
    }

    // Of interrupted work: no index names them, no note remembers them, and whoever wrote them is gone.
    Status remove_unknown_packs() {
        for (const auto& [name, object] : packs_) {
            if (indexed_.count(name) > 0 || notes_.has_named(name) || object.modified >= horizon_) continue;
            AETERNA_TRY(storage_.remove(name, context()));
            ++report_.unknown_packs;
            report_.removed_bytes += object.bytes;
        }
        return {};
    }

    // Notes of damage in packs that no index names any more.
    Status forget_damage() {
        return rewrite_damage_notes(
            repository_, {},
            [this](const PackId& pack, const Id&) { return indexed_.count(pack_name(pack)) > 0; }, context());
    }

    // ------------------------------------------------------------------------------------------ logs

    void note_log_user(const Backup& backup) {
        if (backup.log) log_users_.push_back(backup);
    }

    Status judge_logs() {
        AETERNA_ASSIGN(const auto names, list_logs(repository_, context()));
        std::vector<LogState> logs;
        for (const std::string& name : names) {
            AETERNA_ASSIGN(auto origin, read_origin(repository_, name, context()));
            logs.push_back({name, std::move(origin)});
        }
        report_.logs = decide_logs(logs, log_users_);
        return {};
    }

    Status cut_logs() {
        for (const LogDecision& decision : report_.logs) {
            if (decision.act == LogDecision::Act::kTrim) {
                AETERNA_ASSIGN(const auto gone, trim_log(repository_, decision.log, decision.before, context()));
                report_.removed_log_pieces += gone;
            }
            if (decision.act == LogDecision::Act::kRemove) {
                AETERNA_ASSIGN(const bool is_young, is_log_young(decision.log));
                if (is_young) continue;
                AETERNA_ASSIGN(const auto gone, remove_log(repository_, decision.log, context()));
                report_.removed_log_pieces += gone;
            }
        }
        return {};
    }

    // Somebody whose backup began before the log's end may be about to commit it.
    Result<bool> is_log_young(const std::string& name) {
        bool is_young = false;
        AETERNA_TRY(storage_.list(
            fmt::format("logs/{}/", name),
            [&](const ObjectInfo& object) {
                is_young = is_young || object.modified >= horizon_;
                return !is_young;
            },
            context()));
        return is_young;
    }

    Repository& repository_;
    Storage& storage_;
    const PruneRequest& request_;
    Job job_;
    EntryReader reader_;
    std::unique_ptr<Session> session_;
    WallTime horizon_{};
    LiveSet live_;
    std::set<std::string> marked_;   // backups
    std::set<std::string> indexed_;  // packs that the index names when this prune is done
    std::map<std::string, ObjectInfo> packs_;
    std::unordered_set<Id, IdHash> copied_;  // entries, out of packs that go
    std::map<Id, Error> uncopied_;           // those that do not open
    std::unique_ptr<ChunkStore> store_;
    std::unique_ptr<ChunkStore::Lane> lane_;
    std::vector<PackContents> garbage_;
    GarbageNotes notes_;
    std::vector<Backup> log_users_;  // that are kept, committed meanwhile too
    PruneReport report_;
};

}  // namespace

Result<PruneReport> prune(Repository& repository, const PruneRequest& request, const env::Context& context) {
    Prune work(repository, request, context);
    return work.run();
}

}  // namespace aeterna::repository
