#include "repository/pipeline/helpers.h"

namespace aeterna::repository {

bool Helpers::take(EntryType type, const Id& id, Bytes plain) {
    return helping_ > 0 && entries_.has_room() &&
           entries_.push({type, id, std::string(plain.data(), plain.size())}, job_.context());
}

Status Helpers::help(ChunkStore::Lane& lane) {
    if (helping_.fetch_add(1) + 1 == workers_) entries_.close();
    while (const auto entry = entries_.pop(job_.context())) {
        AETERNA_TRY(lane.put_again(entry->type, entry->id, bytes_of(entry->plain)));
    }
    return {};
}

Status HelpedSink::put(EntryType type, const Id& id, const LentBytes& plain) {
    AETERNA_ASSIGN(const bool is_new, index_.claim(id));
    if (!is_new || helpers_.take(type, id, plain.bytes)) return {};
    return lane_.put_again(type, id, plain.bytes);
}

}  // namespace aeterna::repository
