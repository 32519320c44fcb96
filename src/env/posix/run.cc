#include "env/posix/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

constexpr int kStreamPipeBytes = 1 << 20;
constexpr auto kTimeToEnd = std::chrono::milliseconds(500);

// A program that ends before it has read its input must not kill us: SIGPIPE is kept from this thread.
class SigpipeBlock {
  public:
    SigpipeBlock() {
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~SigpipeBlock() {
        if (::sigismember(&before_, SIGPIPE) != 1) {
            const timespec now{0, 0};
            while (::sigtimedwait(&pipe_, nullptr, &now) > 0) {
            }
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    SigpipeBlock(const SigpipeBlock&) = delete;
    SigpipeBlock& operator=(const SigpipeBlock&) = delete;

  private:
    sigset_t pipe_{};
    sigset_t before_{};
};

struct Channels {
    Descriptor input;   // we write
    Descriptor output;  // we read
    Descriptor errors;
};

// One started program, in a process group of its own. Not reaped before the group could be killed: until then
// its number can't belong to another group.
class RunningProgram {
  public:
    RunningProgram(pid_t pid, Channels channels, const RunOptions& options)
        : pid_(pid), channels_(std::move(channels)), options_(options), left_(options.input) {
        handle_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
        // Fewer turns for streams; what the kernel refuses stays as it was.
        if (options.on_output) ::fcntl(channels_.output.get(), F_SETPIPE_SZ, kStreamPipeBytes);
        if (options.next_input) ::fcntl(channels_.input.get(), F_SETPIPE_SZ, kStreamPipeBytes);
        for (const Descriptor* channel : {&channels_.input, &channels_.output, &channels_.errors}) {
            if (channel->is_open()) ::fcntl(channel->get(), F_SETFL, O_NONBLOCK);
        }
    }
    ~RunningProgram() {
        if (!is_reaped_) kill_group();
    }
    RunningProgram(const RunningProgram&) = delete;
    RunningProgram& operator=(const RunningProgram&) = delete;

    Result<RunResult> finish(const Context& context) {
        const std::string what = fmt::format("run '{}'", options_.argv.front());
        if (!handle_.is_open()) return file_error(errno, what);
        while (true) {
            pollfd descriptors[] = {{handle_.get(), POLLIN, 0},
                                    {channels_.output.get(), POLLIN, 0},
                                    {channels_.errors.get(), POLLIN, 0},
                                    {channels_.input.get(), POLLOUT, 0}};
            if (auto ready = wait_ready(descriptors, silence_within(context), what); !ready) {
                return ended_early(std::move(ready).error(), what, context);
            }
            const bool has_ended = descriptors[0].revents != 0;
            // A stream that never pauses leaves nothing to wait for.
            if (auto still = check_context(context, what); !still && !has_ended) {
                return ended_early(std::move(still).error(), what, context);
            }
            if (auto moved = move_streams(has_ended); !moved) {
                kill_group();
                return std::move(moved).error();
            }
            if (result_.output.size() + result_.errors.size() > options_.output_limit_bytes) {
                kill_group();
                return make_error(ErrorCode::kIo,
                                  fmt::format("{}: more than {} bytes of output", what,
                                              options_.output_limit_bytes),
                                  "", Effect::kUnknown);
            }
            // A daemon left behind may hold the pipes for ever: the end of the program itself counts.
            if (has_ended) {
                reap();
                return std::move(result_);
            }
        }
    }

  private:
    [[nodiscard]] Context silence_within(const Context& context) const {
        if (options_.longest_silence == Duration{}) return context;
        return context.until(std::chrono::steady_clock::now() + options_.longest_silence);
    }

    Error ended_early(Error error, const std::string& what, const Context& context) {
        kill_group();
        error.effect = Effect::kUnknown;
        if (error.code != ErrorCode::kTimeout) return error;
        if (check_context(context, what)) {
            error.message = fmt::format("{}: nothing moved for {}, and it was killed", what,
                                        format_duration(options_.longest_silence));
        } else {
            error.code = ErrorCode::kDeadline;
            error.message = fmt::format("{}: did not end in time and was killed", what);
        }
        return error;
    }

    Status move_streams(bool has_ended) {
        AETERNA_TRY(feed());
        if (options_.on_output) AETERNA_TRY(pass_on_output(has_ended));
        else drain(channels_.output, result_.output);
        drain(channels_.errors, result_.errors);
        return {};
    }

    Status feed() {
        while (channels_.input.is_open()) {
            if (left_.empty() && options_.next_input) {
                AETERNA_ASSIGN(more_, options_.next_input());
                left_ = more_;
            }
            if (left_.empty()) break;
            const ssize_t written = ::write(channels_.input.get(), left_.data(), left_.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0 && errno == EAGAIN) return {};
            if (written < 0) break;  // it does not want its input
            left_.remove_prefix(static_cast<std::size_t>(written));
            if (options_.next_input) return {};  // between two pieces the deadline is looked at
        }
        left_ = {};
        channels_.input.reset();
        return {};
    }

    // One pipe's content at a time, so that a fast program does not outrun the deadline; all of it at the end.
    Status pass_on_output(bool has_ended) {
        piece_.resize(kStreamPipeBytes);
        while (channels_.output.is_open()) {
            const ssize_t got = ::read(channels_.output.get(), piece_.data(), piece_.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && errno == EAGAIN) return {};
            if (got <= 0) {
                channels_.output.reset();
                return {};
            }
            AETERNA_TRY(options_.on_output(std::string_view(piece_).substr(0, static_cast<std::size_t>(got))));
            if (!has_ended) return {};
        }
        return {};
    }

    void drain(Descriptor& channel, std::string& text) {
        char buffer[1 << 16];
        while (channel.is_open() && text.size() <= options_.output_limit_bytes) {
            const ssize_t got = ::read(channel.get(), buffer, sizeof buffer);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && errno == EAGAIN) return;
            if (got <= 0) {
                channel.reset();
                return;
            }
            text.append(buffer, static_cast<std::size_t>(got));
        }
    }

    // Asked first: pg_dump then cancels its statement, whose server process would wait on for its lock otherwise.
    void kill_group() {
        ::kill(-pid_, SIGTERM);
        pollfd end{handle_.get(), POLLIN, 0};
        if (handle_.is_open()) ::poll(&end, 1, static_cast<int>(kTimeToEnd.count()));
        ::kill(-pid_, SIGKILL);
        reap();
    }

    void reap() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        is_reaped_ = true;
        if (WIFEXITED(status)) result_.exit_status = WEXITSTATUS(status);
        if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
    }

    pid_t pid_;
    Channels channels_;
    const RunOptions& options_;
    std::string_view left_;
    std::string more_, piece_;
    Descriptor handle_;
    RunResult result_;
    bool is_reaped_ = false;
};

}  // namespace

Result<RunResult> run_program(const RunOptions& options, const Context& context) {
    AETERNA_ASSIGN(const Launch launch,
                   Launch::prepare({options.argv, options.environment, options.inherit_environment,
                                    options.working_directory, options.user, ::getpid()}));
    AETERNA_ASSIGN(Pipe report, make_pipe());
    AETERNA_ASSIGN(Pipe input, make_pipe());
    AETERNA_ASSIGN(Pipe output, make_pipe());
    AETERNA_ASSIGN(Pipe errors, make_pipe());
    const SigpipeBlock no_sigpipe;
    const pid_t pid = ::fork();
    if (pid < 0) return file_error(errno, fmt::format("run '{}'", options.argv.front()));
    if (pid == 0) {
        ::setpgid(0, 0);
        ::dup2(input.read_end.get(), STDIN_FILENO);
        ::dup2(output.write_end.get(), STDOUT_FILENO);
        ::dup2(errors.write_end.get(), STDERR_FILENO);
        launch.execute(report.write_end.get());
    }
    ::setpgid(pid, pid);
    report.write_end.reset();
    input.read_end.reset();
    output.write_end.reset();
    errors.write_end.reset();
    RunningProgram program(
        pid, {std::move(input.write_end), std::move(output.read_end), std::move(errors.read_end)}, options);
    LaunchFailure failure;
    if (read_exactly(report.read_end.get(), &failure, sizeof failure)) return launch.explain(failure);
    return program.finish(context);
}

}  // namespace aeterna::env
