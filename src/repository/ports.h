// What the repository needs of the outside world besides its storage.
#pragma once

#include "env/clock.h"
#include "env/file_tree.h"
#include "env/files.h"
#include "env/threads.h"

namespace aeterna::repository {

struct Ports {
    env::Clock& clock;
    env::Random& random;
    env::Threads& threads;
    env::Files& files;
    env::FileTree& tree;
};

}  // namespace aeterna::repository
