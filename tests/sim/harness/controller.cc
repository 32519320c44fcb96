#include "harness/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/daemon/serve.h"

namespace aeterna::sim {

Controller::Controller(Site& site, int number, std::string assist)
    : site_(site),
      number_(number),
      state_directory_(fmt::format("/state/{}", number + 1)),
      stack_path_(fmt::format("/etc/aeterna-dr/{}.yaml", number + 1)) {
    Disk& disk = site_.world().disk;
    disk.make_directories("/etc/aeterna-dr", 0755);
    const std::string text = site_.stack_file(state_directory_, assist);
    if (Result<Disk::Node*> node = disk.make(stack_path_))
        (*node)->content = (*node)->durable = text;
    site_.fence_directories.push_back(state_directory_ + "/fences");
}

bool Controller::owns(const Process& process) const {
    return std::find(processes_.begin(), processes_.end(), &process) != processes_.end();
}

void Controller::start(CrashPoint crash) {
    World& world = site_.world();
    ProcessOptions options;
    options.command = fmt::format("aeterna-dr-{}", number_ + 1);
    options.host = &site_.controller_host(number_);
    process_ = &world.processes.start(std::move(options));
    processes_.push_back(process_);
    started_at_ = world.now();
    lives_.push_back(std::make_unique<Life>(world, *process_, pages_, crash));
    Life& life = *lives_.back();
    process_->thread_stops.push_back(life.stop);
    world.scheduler.spawn(process_, "serve", [this, &life, &world, &process = *process_] {
        run(life);
        if (life.stop.stop_requested() && process.is_alive()) world.processes.kill(process);  // it exits
    });
}

void Controller::stop() {
    if (!lives_.empty()) lives_.back()->stop.request_stop();
}

void Controller::run(Life& life) {
    const env::Env& env = life.env.env();
    auto open = app::open_stack(stack_path_, env);
    if (!open) {
        failure_ = open.error().to_string();
        return;
    }
    life.open = std::move(*open);
    const Status served = app::serve(*life.open, life.journal, env, {},
                                     {MonoTime::max(), life.stop.get_token(), "serve"});
    const bool is_crash = served ? false : life.stop.stop_requested();
    if (!served && !is_crash) failure_ = served.error().to_string();
}

}  // namespace aeterna::sim
