// incident list|show|ack|close: what was detected, from the journal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/cli/commands.h"
#include "app/cli/incident_request.h"
#include "app/cli/option_checks.h"
#include "app/cli/session.h"
#include "app/cli/styled_text.h"
#include "app/daemon/request_desk.h"

namespace aeterna::app {
namespace {

constexpr std::size_t kLimit = 1000;

struct IncidentOptions {
    std::string since;
    std::string id;
};

std::string duration_of(const engine::IncidentSummary& incident, WallTime now) {
    const auto end = incident.closed_at.value_or(now);
    return format_duration(std::max<Duration>(end - incident.opened_at, Duration::zero()));
}

Result<int> run_list(Session& session, const IncidentOptions& options) {
    const WallTime now = session.env().clock.wall_now();
    AETERNA_ASSIGN(const WallTime since, parse_since(options.since, now, WallTime{}));
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto incidents, journal->incidents(since, kLimit));
    if (session.options.json) {
        Json document{{"incidents", Json::array()}};
        for (const auto& incident : incidents) document["incidents"].push_back(engine::to_json(incident));
        session.print_json(document);
        return 0;
    }
    if (incidents.empty()) session.progress("no incidents");
    for (const auto& incident : incidents) {
        session.print(fmt::format("{}  {:<6}  {:<8}  {}  {} {}  ({})", incident.id, incident.state,
                                  incident.severity, format_time(incident.opened_at), incident.detector,
                                  incident.subject,
                                  duration_of(incident, now) + (incident.acknowledged_at ? ", acknowledged" : "")));
    }
    return 0;
}

Result<int> run_show(Session& session, const IncidentOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    AETERNA_ASSIGN(const auto found, journal->incident(options.id));
    if (!found) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no incident '{}'", options.id),
                          "List them with 'aeterna-dr incident list'.");
    }
    const WallTime until = found->closed_at.value_or(session.env().clock.wall_now());
    AETERNA_ASSIGN(const auto events, journal->events(found->opened_at - std::chrono::seconds(30),
                                                      until + std::chrono::seconds(30)));
    if (session.options.json) {
        Json document{{"incident", engine::to_json(*found)}, {"events", Json::array()}};
        for (const auto& event : events) {
            if (event.store != found->store) continue;
            document["events"].push_back({{"at", format_time(event.at)},
                                          {"kind", event.kind},
                                          {"subject", event.subject},
                                          {"detail", event.detail}});
        }
        session.print_json(document);
        return 0;
    }
    session.print(fmt::format("{} {} on {} '{}'\n  {}\n  opened {}\n  {}", found->severity, found->detector,
                              found->store, found->subject, found->summary, format_time(found->opened_at),
                              found->closed_at ? "closed " + format_time(*found->closed_at) + " after " +
                                                     duration_of(*found, until)
                                               : "open"));
    if (found->acknowledged_at) {
        session.print(fmt::format("  acknowledged {} by {}", format_time(*found->acknowledged_at), found->acknowledged_by));
    }
    for (const std::string& reason : found->reasons) session.print("  - " + reason);
    for (const auto& event : events) {
        if (event.store != found->store) continue;
        session.print(fmt::format("  {}  {} {} {}", format_clock(event.at), event.kind, event.subject, event.detail));
    }
    return 0;
}

}  // namespace

void add_incident_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<IncidentOptions>();
    CLI::App* command = app.add_subcommand("incident", "What was detected");
    command->require_subcommand(1);
    CLI::App* list = command->add_subcommand("list", "Incidents, newest first");
    list->add_option("--since", options->since, "Only those open since this time or age (24h)");
    list->callback([&session, options] {
        session.run([&session, options] { return run_list(session, *options); });
    });
    CLI::App* show = command->add_subcommand("show", "One incident with its reasons and events");
    show->add_option("ID", options->id)->required();
    show->callback([&session, options] {
        session.run([&session, options] { return run_show(session, *options); });
    });
    const auto add_request = [&](const char* name, const char* help, std::string_view kind) {
        CLI::App* request = command->add_subcommand(name, help);
        request->add_option("ID", options->id)->required();
        request->callback([&session, options, kind] {
            session.run([&session, options, kind] { return request_on_incident(session, kind, options->id); });
        });
    };
    add_request("ack", "Note that somebody knows of it", engine::kAckIncident);
    add_request("close", "Close one that no detector can close any more; refused while it fires", engine::kCloseIncident);
}

}  // namespace aeterna::app
