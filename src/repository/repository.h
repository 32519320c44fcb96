// Repository: an opened place for backups: its configuration, its keys, its catalog and index.
//
//     config            JSON: format version, repository id, hash; put last when a repository is made
//     keys/<id>         key envelopes (crypto/key_envelope.h)
//     packs/<ab>/<id>   packs (format/pack.h)
//     index/<id>        index segments (format/index_segment.h)
//     backups/<id>      the catalog (catalog.h)
//     sessions/<name>   who uses it right now (sessions.h)
//     garbage/<name>    packs that are on their way out (pipeline/prune.h)
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "repository/catalog.h"
#include "repository/crypto/key_envelope.h"
#include "repository/index/chunk_index.h"
#include "repository/ports.h"
#include "repository/sessions.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

struct InitOptions {
    std::string key_label = "first";
    std::optional<HashKind> hash;  // else the fastest of this CPU
    PassphraseCost cost;
};

struct KeySlot {
    std::string id, kind, label, created_at;
};

class Repository {
  public:
    // kAlreadyExists when there is one; of two at once one wins and the other gets that.
    static Status init(Storage& storage, const Credential& credential, const InitOptions& options, const Ports& ports,
                       const env::Context& context);
    // kNoRepository, kWrongKey, kCorrupt, kConfiguration (a newer format).
    [[nodiscard]] static Result<std::unique_ptr<Repository>> open(Storage& storage, const Credential& credential,
                                                                  const Ports& ports, const env::Context& context);

    // Whether it still is where it was opened: a mount that is gone leaves a directory that takes writes. kUnavailable.
    Status check_place(const env::Context& context) const;
    [[nodiscard]] const std::string& id() const { return master_.repository_id; }
    [[nodiscard]] const RepositoryKeys& keys() const { return keys_; }
    [[nodiscard]] Storage& storage() const { return storage_; }
    [[nodiscard]] const Ports& ports() const { return ports_; }
    [[nodiscard]] Catalog& catalog() { return catalog_; }

    // The index with its cache below `state_directory`; one process uses one cache directory at a time, a second one
    // gets another.
    // Begins a session first, which ends with the repository; a reader of a storage that cannot be written has none.
    Status open_index(const std::string& state_directory, SessionKind kind, const env::Context& context);
    // open_index() has succeeded.
    [[nodiscard]] ChunkIndex& index() { return *index_; }
    [[nodiscard]] Session* session() { return session_.get(); }
    // How far this machine's clock is ahead of the storage's, by which sessions and prune go. Nothing without a session.
    [[nodiscard]] std::optional<Duration> clock_skew() const { return clock_skew_; }

    [[nodiscard]] Result<std::vector<KeySlot>> key_slots(const env::Context& context);
    // The new slot's id.
    [[nodiscard]] Result<std::string> add_key(const Credential& credential, const std::string& label,
                                              PassphraseCost cost, const env::Context& context);
    // The content of an escrow file (crypto/key_envelope.h).
    [[nodiscard]] Secret escrow() const;
    // kGuardRefused for the last slot, and for the one that this process opened the repository with.
    Status remove_key(const std::string& slot, const env::Context& context);

  private:
    Repository(Storage& storage, MasterKey master, std::string slot, const Ports& ports)
        : storage_(storage), ports_(ports), master_(std::move(master)), slot_(std::move(slot)),
          keys_(master_.hash, master_.key), catalog_(storage, keys_) {}

    Storage& storage_;
    Ports ports_;
    MasterKey master_;
    std::string slot_;  // the key object that this process was let in by
    RepositoryKeys keys_;
    Catalog catalog_;
    std::unique_ptr<env::FileLock> cache_lock_;
    std::unique_ptr<ChunkIndex> index_;
    std::unique_ptr<Session> session_;
    std::optional<Duration> clock_skew_;
};

}  // namespace aeterna::repository
