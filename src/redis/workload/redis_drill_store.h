// RedisDrillStore: the drill's ways into Redis: writers, reading back by SCAN on the surviving master, cleaning up.
#pragma once

#include <memory>

#include "engine/drill/drill_store.h"
#include "redis/settings.h"

namespace aeterna::redis {

[[nodiscard]] std::unique_ptr<engine::DrillStore> make_redis_drill_store(SettingsPointer settings,
                                                                         const env::Env& env);

}  // namespace aeterna::redis
