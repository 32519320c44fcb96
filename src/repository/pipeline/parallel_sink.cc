#include "repository/pipeline/parallel_sink.h"

#include <algorithm>

namespace aeterna::repository {

ParallelSink::ParallelSink(ChunkStore& store, ChunkIndex& index, env::Threads& threads, Job& job, unsigned workers)
    : store_(store), index_(index), job_(job), entries_(threads, std::max(1U, workers)) {
    for (unsigned i = 0; i < std::max(1U, workers); ++i) {
        threads_.push_back(threads.start("repo-pack", [this](const std::stop_token&) { work(); }));
    }
}

ParallelSink::~ParallelSink() { finish(); }

Status ParallelSink::put(EntryType type, const Id& id, const LentBytes& plain) {
    AETERNA_ASSIGN(const bool is_new, index_.claim(id));
    if (!is_new) return {};
    Entry entry{type, id, plain};
    if (!entry.plain.owner) {
        entry.plain.owner = std::make_shared<const std::string>(plain.bytes.data(), plain.bytes.size());
        entry.plain.bytes = bytes_of(*entry.plain.owner);
    }
    return entries_.push(std::move(entry), job_.context()) ? Status() : Status(job_.reason());
}

void ParallelSink::work() {
    const auto lane = store_.make_lane();
    while (auto entry = entries_.pop(job_.context())) {
        if (!job_.check(lane->put_again(entry->type, entry->id, entry->plain.bytes))) return;
    }
    if (job_.status()) job_.check(lane->finish());
}

void ParallelSink::finish() {
    entries_.close();
    for (const auto& thread : threads_) thread->join();
}

}  // namespace aeterna::repository
