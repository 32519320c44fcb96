// A proxy between driver and S3 server that breaks chosen requests on the way. It knows just enough HTTP to see where a
// request and an answer end; everything else passes unchanged, so that signatures stay valid.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "env/net.h"

namespace aeterna::repository::testing {

enum class Fault {
    kNone,
    kServerError,       // 500, the server was never asked
    kSlowDown,          // 503 SlowDown with Retry-After: 0
    kResetBefore,       // connection reset, the server was never asked
    kResetAfter,        // the server did it, the answer is lost
    kTruncate,          // half of the answer, then the end
    kStallBefore,       // silence, the server was never asked
    kStallAfter,        // the server did it, then silence
    kFlipRequestByte,   // in the body
    kFlipResponseByte,  // in the body
};

[[nodiscard]] std::string fault_name(Fault fault);

class FaultProxy {
  public:
    // `choose` sees each request's number and first line ("PUT /bucket/key HTTP/1.1"); called on several threads.
    using Choose = std::function<Fault(int number, const std::string& first_line)>;
    FaultProxy(env::Endpoint upstream, Choose choose);
    ~FaultProxy();
    FaultProxy(const FaultProxy&) = delete;
    FaultProxy& operator=(const FaultProxy&) = delete;

    [[nodiscard]] const env::Endpoint& endpoint() const { return endpoint_; }
    [[nodiscard]] int requests() const { return requests_; }

  private:
    void accept_all();
    void serve(int client);
    // False: the connection is over.
    bool pass_one(int client, int upstream);
    void hold(int client);

    env::Endpoint upstream_;
    Choose choose_;
    env::Endpoint endpoint_;
    int listener_ = -1;
    int wake_[2] = {-1, -1};
    std::atomic<bool> is_over_{false};
    std::atomic<int> requests_{0};
    std::mutex mutex_;
    std::list<std::thread> connections_;
    std::thread acceptor_;
};

}  // namespace aeterna::repository::testing
