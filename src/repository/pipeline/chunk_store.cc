#include "repository/pipeline/chunk_store.h"

#include "repository/catalog.h"
#include "repository/format/sealed_object.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kFlushBytes = 1 << 20;
constexpr std::size_t kMostPackEntries = 65536;
constexpr std::size_t kWaitingPacks = 2, kCommitters = 2;

}  // namespace

ChunkStore::ChunkStore(Storage& storage, const RepositoryKeys& keys, ChunkIndex& index, const Ports& ports, Job& job)
    : storage_(storage), keys_(keys), index_(index), ports_(ports), job_(job), finished_(ports.threads, kWaitingPacks) {
    for (std::size_t i = 0; i < kCommitters; ++i) {
        committers_.push_back(ports_.threads.start("repo-commit", [this](const std::stop_token&) { commit_packs(); }));
    }
}

ChunkStore::~ChunkStore() { finished_.close(); }

void ChunkStore::commit_packs() {
    while (auto pack = finished_.pop(job_.context())) {
        if (!job_.check(commit(*pack))) return;
    }
}

Status ChunkStore::commit(FinishedPack& pack) {
    const Status committed = pack.writer->commit(job_.context());
    if (!committed && committed.error().effect != Effect::kUnknown) return committed;
    if (!committed) {  // perhaps it is there: look
        const auto there = find_durable(storage_, pack_name(pack.contents.id), job_.context());
        if (!there || !*there || (*there)->bytes != pack.contents.bytes) return committed;
    }
    stored_bytes_ += pack.contents.bytes;
    return index_.add_pack(std::move(pack.contents), job_.context());
}

std::unique_ptr<ChunkStore::Lane> ChunkStore::make_lane() { return std::make_unique<Lane>(*this); }

Status ChunkStore::finish() {
    finished_.close();
    for (const auto& committer : committers_) committer->join();
    AETERNA_TRY(job_.status());
    return index_.flush(job_.context());
}

Status ChunkStore::Lane::begin_pack() {
    builder_ = std::make_unique<PackBuilder>(random_name(store_.ports_.random), store_.keys_, compressor_);
    AETERNA_ASSIGN(writer_, store_.storage_.create(pack_name(builder_->id()), store_.job_.context()));
    return {};
}

Status ChunkStore::Lane::flush() {
    AETERNA_TRY(writer_->append(bytes_of(builder_->buffer()), store_.job_.context()));
    builder_->flushed();
    return {};
}

Status ChunkStore::Lane::put(EntryType type, const Id& id, const LentBytes& plain) {
    AETERNA_ASSIGN(const bool is_new, store_.index_.claim(id));
    return is_new ? put_again(type, id, plain.bytes) : Status();
}

Status ChunkStore::Lane::put_again(EntryType type, const Id& id, Bytes plain) {
    if (!builder_) AETERNA_TRY(begin_pack());
    builder_->add(type, id, plain);
    if (builder_->bytes() >= kPackBytes || builder_->entries().size() >= kMostPackEntries) return finish();
    return builder_->buffer().size() >= kFlushBytes ? flush() : Status();
}

Result<Id> ChunkStore::Lane::put_named(EntryType type, Bytes plain) {
    const Id id = store_.keys_.content(plain);
    AETERNA_TRY(put(type, id, {plain, nullptr}));
    return id;
}

Status ChunkStore::Lane::finish() {
    if (!builder_) return {};
    builder_->finish();
    AETERNA_TRY(flush());
    FinishedPack pack{std::move(writer_), {builder_->id(), builder_->bytes(), builder_->entries()}};
    builder_.reset();
    if (!store_.finished_.push(std::move(pack), store_.job_.context())) return store_.job_.reason();
    return {};
}

}  // namespace aeterna::repository
