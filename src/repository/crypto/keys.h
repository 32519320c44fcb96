// Keys of one repository. All come from its random master key, which is stored only wrapped: each key object under
// "keys/" wraps it with one key file or passphrase. Changing those touches no data.
#pragma once

#include "repository/chunk/gear.h"
#include "repository/crypto/keyed_hash.h"

namespace aeterna::repository {

struct RepositoryKeys {
    RepositoryKeys(HashKind kind, const SecretKey& master)
        : hash_kind(kind),
          sealing(derive_key(master, "", "aeterna repository 1 sealing")),
          content(kind, derive_key(master, "", "aeterna repository 1 content")),
          page(kind, derive_key(master, "", "aeterna repository 1 page")),
          group(kind, derive_key(master, "", "aeterna repository 1 group")),
          digest(kind, derive_key(master, "", "aeterna repository 1 digest")),
          gear(derive_key(master, "", "aeterna repository 1 gear")) {}

    HashKind hash_kind;
    SecretKey sealing;  // packs and objects derive theirs from it
    KeyedHash content;  // ids of chunks, maps and manifest blobs
    KeyedHash page;     // page hashes
    KeyedHash group;    // ids of page groups, over their page hashes
    KeyedHash digest;   // digests of segments and files
    Gear gear;
};

}  // namespace aeterna::repository
