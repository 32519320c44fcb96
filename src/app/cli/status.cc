// status: every store and node at one look, as text, as JSON, or as a full-screen view that stays.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <mutex>

#include "app/cli/commands.h"
#include "app/cli/frame.h"
#include "app/cli/look.h"
#include "base/strings.h"

namespace aeterna::app {
namespace {

constexpr Duration kRefresh = std::chrono::milliseconds(700);
constexpr int kKeyWaitMs = 100;

struct StatusOptions {
    bool watch = false;
    bool exit_code = false;
};

// What the looking thread found last, for the painting one.
struct Latest {
    std::mutex mutex;
    std::optional<Result<StatusView>> view;
};

// Looking may take seconds while a server is silent; keys and resizes are answered all the same.
class WatchView {
  public:
    WatchView(Session& session, const OpenStack& open) : session_(session), look_(open, session.env()) {}

    void run() {
        auto thread = session_.env().threads.start("look", [this](const std::stop_token& stop) { look(stop); });
        {
            FullScreen screen;
            while (!session_.stop().stop_requested()) {
                paint();
                const auto key = screen.wait_key(kKeyWaitMs);
                if (key == 'q' || key == 'Q') break;
                if (!key) session_.env().clock.sleep_for(std::chrono::milliseconds(10), session_.stop());
            }
        }
        thread->request_stop();
        thread->join();
    }

  private:
    void look(const std::stop_token& stop) {
        const env::Env& env = session_.env();
        while (!stop.stop_requested()) {
            const MonoTime begun = env.clock.now();
            auto view = look_.now({begun + session_.timeout(kDefaultTimeout), stop, "status"});
            {
                const std::lock_guard lock(latest_.mutex);
                latest_.view = std::move(view);
            }
            if (!env.clock.sleep_until(begun + kRefresh, stop)) return;
        }
    }

    [[nodiscard]] std::vector<std::string> frame(const ScreenSize& size) {
        const std::lock_guard lock(latest_.mutex);
        if (!latest_.view) return {"looking ..."};
        if (!*latest_.view) return {latest_.view->error().to_string().substr(0, static_cast<std::size_t>(size.columns))};
        RenderOptions options;
        options.width = static_cast<std::size_t>(size.columns);
        options.height = static_cast<std::size_t>(size.rows);
        options.color = session_.color();
        return render_status(**latest_.view, options);
    }

    void paint() {
        const ScreenSize size = screen_size();
        std::vector<std::string> next = frame(size);
        const bool is_new = shown_columns_ != size.columns || shown_rows_ != size.rows;
        const std::string bytes = is_new ? frame_full(next) : frame_update(shown_, next);
        if (!bytes.empty()) write_all(STDOUT_FILENO, bytes);
        shown_ = std::move(next);
        shown_columns_ = size.columns;
        shown_rows_ = size.rows;
    }

    Session& session_;
    Look look_;
    Latest latest_;
    std::vector<std::string> shown_;
    int shown_columns_ = 0;
    int shown_rows_ = 0;
};

void print_view(const Session& session, const StatusView& view) {
    if (session.options.json) {
        session.print_json(engine::to_json(view.status));
        return;
    }
    RenderOptions options;
    options.color = session.color();
    // Text that goes to a file or a pipe keeps whole lines.
    options.width = is_terminal(STDOUT_FILENO) ? static_cast<std::size_t>(screen_size().columns) : 0;
    session.print(join(render_status(view, options), "\n"));
}

Result<int> watch_as_text(Session& session, const OpenStack& open) {
    Look look(open, session.env());
    const env::Env& env = session.env();
    while (!session.stop().stop_requested()) {
        const MonoTime begun = env.clock.now();
        const auto view = look.now(session.context());
        if (!view && view.error().code == ErrorCode::kCancelled) break;
        if (!view) return view.error();
        print_view(session, *view);
        if (!session.options.json) session.print("");
        if (!env.clock.sleep_until(begun + std::chrono::seconds(1), session.stop())) break;
    }
    return 0;
}

Result<int> run_status(Session& session, const StatusOptions& options) {
    if (options.watch && session.options.json) {
        return make_error(ErrorCode::kUsage, "--watch and --json do not go together",
                          "Call status --json repeatedly, or read serve's /status.");
    }
    AETERNA_ASSIGN(OpenStack * open, session.open());
    if (options.watch && !(is_terminal(STDOUT_FILENO) && is_terminal(STDIN_FILENO))) {
        return watch_as_text(session, *open);
    }
    if (options.watch) {
        WatchView(session, *open).run();
        return 0;
    }
    Look look(*open, session.env());
    AETERNA_ASSIGN(const auto view, look.now(session.context()));
    if (session.options.json) {
        for (const std::string& notice : view.notices) session.progress(notice);
    }
    print_view(session, view);
    return options.exit_code && !view.status.healthy ? 1 : 0;
}

}  // namespace

void add_status_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<StatusOptions>();
    CLI::App* command = app.add_subcommand("status", "Show every store, node, lag and open incident");
    command->add_flag("--watch", options->watch, "Keep a full-screen view up to date; q leaves");
    command->add_flag("--exit-code", options->exit_code, "Exit 1 when the stack is not healthy");
    command->callback([&session, options] {
        session.run([&session, options] { return run_status(session, *options); });
    });
}

}  // namespace aeterna::app
