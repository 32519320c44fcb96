#include "engine/runbook/requests.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "engine/runbook/records.h"

namespace aeterna::engine {

RequestRecord make_request(std::string_view kind, const std::string& subject, const env::Env& env) {
    RequestRecord request;
    request.at = env.clock.wall_now();
    request.id = make_record_id("req", request.at, env.random.next());
    request.kind = kind;
    request.subject = subject;
    request.requester = requester_name(env);
    return request;
}

std::string requester_name(const env::Env& env) {
    const std::string user = env.files.environment_variable("USER").value_or("");
    return user.empty() ? fmt::format("uid {}", env.processes.effective_uid()) : one_line(user, 80);
}

RequestRecord answered(RequestRecord request, const std::string& summary) {
    request.answer = {{"summary", summary}};
    return request;
}

RequestRecord answered(RequestRecord request, const Error& error) {
    request.answer = error_to_json(error);
    return request;
}

}  // namespace aeterna::engine
