// ManifestStore: gathers a backup's records into manifest blobs and these into roots, and counts what is in them.
#pragma once

#include <string>

#include "repository/catalog.h"
#include "repository/format/manifest.h"
#include "repository/pipeline/chunk_store.h"

namespace aeterna::repository {

// One thread at a time.
class ManifestStore {
  public:
    // Counts go into `backup`, and at the end the manifest's roots.
    ManifestStore(ChunkStore& store, Backup& backup) : lane_(store.make_lane()), backup_(backup) {}
    // In path order.
    Status add(const FileRecord& record);
    Status finish();

  private:
    Status flush_blob();
    Status flush_root();

    std::unique_ptr<ChunkStore::Lane> lane_;
    Backup& backup_;
    ManifestWriter writer_;
    std::string root_;
};

}  // namespace aeterna::repository
