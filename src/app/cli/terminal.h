// The terminal and the signals of this process: what POSIX has for them, and nothing else of the outside world.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "env/threads.h"

namespace aeterna::app {

[[nodiscard]] bool is_terminal(int descriptor);

struct ScreenSize {
    int columns = 80;
    int rows = 24;
};
// Of stdout, else $COLUMNS is not asked: 80×24.
[[nodiscard]] ScreenSize screen_size();

// All of it, whatever signals interrupt; a closed pipe is ignored.
void write_all(int descriptor, std::string_view text);

// One line from stdin without its end; nothing at its end or when stop is requested.
[[nodiscard]] std::optional<std::string> read_line(const std::stop_token& stop);

// Runs `command FILE` by the shell on this terminal and waits for its end; Ctrl-C goes to it alone. `command` may have
// arguments of its own, as $EDITOR may. kIo when it cannot be started or ends with anything but 0.
Status run_on_terminal(const std::string& command, const std::string& file);

// SIGINT and SIGTERM call `on_stop` once, on a thread of its own; a second SIGINT restores the screen and exits with
// 130 at once. SIGPIPE does nothing (writes fail with EPIPE instead). Children start with default signal handling.
class SignalWatch {
  public:
    SignalWatch(env::Threads& threads, std::function<void()> on_stop);
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

  private:
    std::unique_ptr<env::Thread> thread_;
};

// The alternate screen with a hidden cursor and keys delivered at once; restored by the destructor, and also when
// the process is ended by a second SIGINT.
class FullScreen {
  public:
    FullScreen();
    ~FullScreen();
    FullScreen(const FullScreen&) = delete;
    FullScreen& operator=(const FullScreen&) = delete;
    // A key that is pressed before `milliseconds` have passed; nothing otherwise (also on a resize).
    [[nodiscard]] std::optional<char> wait_key(int milliseconds);
};

}  // namespace aeterna::app
