// repo copy: a second place, for the day when the first one is gone.
#include "app/cli/repo_copy.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "repository/pipeline/copy.h"

namespace aeterna::app {
namespace {

Result<int> run_copy(Session& session, const std::string& to) {
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(const auto target, RepositoryPlace::at(session, to));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    repository::CopyRequest request;
    request.workers = worker_count();
    request.progress = progress_lines(session);
    AETERNA_ASSIGN(const auto report,
                   repository::copy_repository(*opened, target->storage(), request, context));
    if (session.options.json) {
        session.print_json(Json{{"copy",
                                 {{"to", target->storage().describe()},
                                  {"objects", report.objects},
                                  {"bytes", report.bytes},
                                  {"present", report.present},
                                  {"own_keys", report.own_keys},
                                  {"problems", report.problems}}}});
    } else {
        for (const std::string& problem : report.problems) session.print(problem);
        session.print(fmt::format("{} objects ({}) copied to '{}', {} were there{}", report.objects,
                                  human_bytes(static_cast<std::int64_t>(report.bytes)), target->storage().describe(),
                                  report.present,
                                  report.problem_count == 0 ? ""
                                                            : fmt::format("; {} could not be", report.problem_count)));
        if (report.own_keys > 0) {
            session.progress(fmt::format("the copy has {} keys that the first place has not: they open it as well",
                                         report.own_keys));
        }
    }
    return report.problem_count == 0 ? 0 : exit_code(ErrorCode::kPartial);
}

}  // namespace

void add_copy_command(CLI::App& repo, Session& session) {
    auto to = std::make_shared<std::string>();
    CLI::App* copy = repo.add_subcommand("copy", "Bring it to a second place; begun again it goes on");
    copy->add_option("--to", *to, "A path or s3://…; empty, or a copy of this repository")->required()->type_name("PLACE");
    copy->callback([&session, to] { session.run([&session, to] { return run_copy(session, *to); }); });
}

}  // namespace aeterna::app
