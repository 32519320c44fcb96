#include "app/cli/terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace aeterna::app {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr char kQuit = 'q';
constexpr char kStop = 's';

// Signal handlers reach only these.
std::array<int, 2> g_pipe = {-1, -1};
std::atomic<int> g_stops{0};
std::atomic<bool> g_full_screen{false};
termios g_saved_terminal{};
bool g_terminal_saved = false;

void restore_screen() {
    if (!g_full_screen.exchange(false)) return;
    [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, kLeave.data(), kLeave.size());
    if (g_terminal_saved) ::tcsetattr(STDIN_FILENO, TCSANOW, &g_saved_terminal);
}

// Only async-signal-safe calls (signal-safety(7)).
void on_stop_signal(int number) {
    const int saved_errno = errno;
    if (g_stops.fetch_add(1) > 0 && number == SIGINT) {
        restore_screen();
        ::_exit(130);
    }
    [[maybe_unused]] const auto written = ::write(g_pipe[1], &kStop, 1);
    errno = saved_errno;
}

void ignore_signal(int) {}

void install(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(number, &action, nullptr);
}

}  // namespace

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

ScreenSize screen_size() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
    return {size.ws_col, size.ws_row};
}

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(descriptor, text.data(), text.size());
        if (written < 0 && errno == EAGAIN) {
            pollfd ready{descriptor, POLLOUT, 0};
            ::poll(&ready, 1, 1000);
            continue;
        }
        if (written < 0 && errno != EINTR) return;
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
}

std::optional<std::string> read_line(const std::stop_token& stop) {
    std::string line;
    while (!stop.stop_requested()) {
        pollfd ready{STDIN_FILENO, POLLIN, 0};
        if (::poll(&ready, 1, 100) <= 0) continue;
        char byte = 0;
        const auto count = ::read(STDIN_FILENO, &byte, 1);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return std::nullopt;
        if (byte == '\n') return line;
        line.push_back(byte);
    }
    return std::nullopt;
}

Status run_on_terminal(const std::string& command, const std::string& file) {
    const std::string script = command + " \"$1\"";
    const std::array<const char*, 6> argv = {"sh", "-c", script.c_str(), "sh", file.c_str(), nullptr};
    // The terminal sends Ctrl-C to both of us.
    struct sigaction saved {};
    ::sigaction(SIGINT, nullptr, &saved);
    install(SIGINT, ignore_signal);
    pid_t child = 0;
    const int failed =
        ::posix_spawn(&child, "/bin/sh", nullptr, nullptr, const_cast<char* const*>(argv.data()), environ);
    int status = 0;
    while (failed == 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    ::sigaction(SIGINT, &saved, nullptr);
    if (failed != 0) {
        return make_error(ErrorCode::kIo, fmt::format("cannot start '{}': {}", command, std::strerror(failed)));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    const std::string how = WIFEXITED(status) ? fmt::format("with {}", WEXITSTATUS(status))
                                              : fmt::format("by signal {}", WTERMSIG(status));
    return make_error(ErrorCode::kIo, fmt::format("'{}' ended {}", command, how));
}

SignalWatch::SignalWatch(env::Threads& threads, std::function<void()> on_stop) {
    if (::pipe2(g_pipe.data(), O_CLOEXEC) != 0) return;
    thread_ = threads.start("signals", [on_stop = std::move(on_stop)](const std::stop_token&) {
        char byte = 0;
        while (true) {
            const auto count = ::read(g_pipe[0], &byte, 1);
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0 || byte == kQuit) return;
            on_stop();
        }
    });
    // A handler, not SIG_IGN: exec resets handlers, so that children do not inherit an ignored SIGPIPE.
    install(SIGPIPE, ignore_signal);
    install(SIGINT, on_stop_signal);
    install(SIGTERM, on_stop_signal);
}

SignalWatch::~SignalWatch() {
    if (!thread_) return;
    [[maybe_unused]] const auto written = ::write(g_pipe[1], &kQuit, 1);
    thread_->join();
}

FullScreen::FullScreen() {
    g_terminal_saved = ::tcgetattr(STDIN_FILENO, &g_saved_terminal) == 0;
    g_full_screen = true;
    if (g_terminal_saved) {
        termios raw = g_saved_terminal;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    write_all(STDOUT_FILENO, kEnter);
}

FullScreen::~FullScreen() { restore_screen(); }

std::optional<char> FullScreen::wait_key(int milliseconds) {
    pollfd ready{STDIN_FILENO, POLLIN, 0};
    if (!g_terminal_saved || ::poll(&ready, 1, milliseconds) <= 0) return std::nullopt;
    char byte = 0;
    if (::read(STDIN_FILENO, &byte, 1) != 1) return std::nullopt;
    return byte;
}

}  // namespace aeterna::app
