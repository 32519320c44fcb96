// Where the PostgreSQL probes post and the judge reads.
#pragma once

#include "engine/detect/board.h"
#include "postgres/detect/observations.h"

namespace aeterna::postgres {

class Board : public engine::Board<Snapshot> {
  public:
    explicit Board(const Settings& settings) : engine::Board<Snapshot>(engine::with_every_node<Snapshot>(settings)) {}
};

// Folds a SQL answer and keeps track of since when the node has been a primary.
void post_sql(Board& board, const std::string& node, Result<SqlView> outcome, MonoTime started,
              MonoTime at);

}  // namespace aeterna::postgres
