#include "app/cli/partial_result.h"

namespace aeterna::app {

Error fail_with(Session& session, Json document, Error error) {
    if (!session.options.json) return error;
    document["error"] = error_document(error)["error"];
    session.print_json(std::move(document));
    // stdout has its one document: what is left to say goes to stderr.
    session.options.json = false;
    return error;
}

}  // namespace aeterna::app
