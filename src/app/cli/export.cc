// export STORE BACKUP: a file that the store's stock tools load, out of the repository.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "app/cli/store_options.h"
#include "env/posix/file_system.h"

namespace aeterna::app {
namespace {

Result<int> run_export(Session& session, const engine::StoreModule& module, engine::ExportOrder order) {
    const env::Context context = session.context(kRepositoryTimeout);
    const auto files = env::make_posix_file_system();
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    order.output = session.env().files.canonical(order.output);
    const MonoTime begun = session.env().clock.now();
    AETERNA_ASSIGN(const auto result, module.make_exporter(*files)->run(*opened, order, context));
    const Duration took = session.env().clock.now() - begun;
    if (session.options.json) {
        session.print_json(Json{{"export",
                                 {{"backup", result.backup.id},
                                  {"output", order.output},
                                  {"bytes", result.bytes},
                                  {"seconds", to_seconds(took)}}}});
    } else {
        session.print(fmt::format("{} of {} is in '{}', {} in {}", result.what, result.backup.id, order.output,
                                  human_bytes(result.bytes), format_duration(took)));
    }
    return 0;
}

}  // namespace

void add_export_command(CLI::App& app, Session& session) {
    CLI::App* command = app.add_subcommand("export", "A file that stock tools load, out of a backup");
    command->require_subcommand(1);
    for (const auto& module : store_modules()) {
        const auto specific = module->export_options();
        if (!specific) continue;
        auto order = std::make_shared<engine::ExportOrder>();
        CLI::App* store = command->add_subcommand(std::string(module->name()), "One database of a logical backup, for pg_restore");
        store->add_option("BACKUP", order->backup, "Its id, the unique beginning of one, or 'latest'")->required();
        store->add_option("--output", order->output, "The file")->required()->type_name("PATH");
        store->add_flag("--replace", order->replaces, "If it is there already");
        store->add_option("--name", order->series, "Which series of backups, where there are several")->type_name("NAME");
        add_store_options(*store, *specific, order->options);
        store->callback([&session, order, &one = *module] {
            session.run([&session, order, &one] { return run_export(session, one, *order); });
        });
    }
}

}  // namespace aeterna::app
