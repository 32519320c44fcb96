// Env: references to every port, handed to constructors. There is no global one.
#pragma once

#include "base/log.h"
#include "env/clock.h"
#include "env/files.h"
#include "env/net.h"
#include "env/processes.h"
#include "env/sql.h"
#include "env/threads.h"

namespace aeterna::env {

struct Env {
    Clock& clock;
    Random& random;
    Threads& threads;
    Files& files;
    Processes& processes;
    Dialer& dialer;
    HttpClient& http;
    HttpListener& http_listener;
    SqlConnector& sql;
    Log& log;
};

}  // namespace aeterna::env
