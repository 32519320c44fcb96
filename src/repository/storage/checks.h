// What every driver asks first: is the name allowed, may the call still run?
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "env/clock.h"
#include "env/context.h"

namespace aeterna::repository {

// kUsage unless `name` is as storage.h says.
Status check_name(std::string_view name);
// The beginning of a name, also an empty one or a part of a component.
Status check_prefix(std::string_view prefix);

// kCancelled or kDeadline when the context is over; `what` leads the message.
Status check_running(const env::Clock& clock, const env::Context& context, std::string_view what);

}  // namespace aeterna::repository
