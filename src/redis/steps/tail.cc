// Reading the stream and telling the tail apart.
#include "redis/steps/tail.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

// So many equal writes in a row make two logs agree; fewer where one of them does not reach back so
// far.
constexpr std::size_t kAgreements[] = {2000, 200, 20};
constexpr std::int64_t kLargestTail = 256 << 20;

std::string command_word(const Command& command) {
    return command.empty() ? "" : lower(command.front());
}

std::vector<Command> writes_of(const std::vector<Command>& commands) {
    std::vector<Command> writes;
    std::copy_if(commands.begin(), commands.end(), std::back_inserter(writes), is_write);
    return writes;
}

// Where a command may begin: a '*' and a digit at the start of a line.
std::size_t next_start(std::string_view text, std::size_t from) {
    for (std::size_t at = text.find('*', from); at != std::string_view::npos;
         at = text.find('*', at + 1)) {
        const bool is_line = at == 0 || text[at - 1] == '\n';
        if (is_line && at + 1 < text.size() && text[at + 1] >= '1' && text[at + 1] <= '9')
            return at;
    }
    return std::string_view::npos;
}

// One whole command at `at`, which moves behind it. A value may hold anything, also what looks like
// a command.
std::optional<Command> read_command(std::string_view text, std::size_t& at) {
    const auto number = [&](char mark) -> std::optional<std::size_t> {
        const std::size_t end = text.find("\r\n", at);
        if (at >= text.size() || text[at] != mark || end == std::string_view::npos)
            return std::nullopt;
        const auto value = to_integer(text.substr(at + 1, end - at - 1));
        if (!value || *value < 0) return std::nullopt;
        at = end + 2;
        return static_cast<std::size_t>(*value);
    };
    const auto count = number('*');
    if (!count || *count == 0 || *count > text.size()) return std::nullopt;
    Command command;
    for (std::size_t i = 0; i < *count; ++i) {
        const auto length = number('$');
        if (!length || *length > text.size() - at || text.size() - at - *length < 2)
            return std::nullopt;
        if (text.substr(at + *length, 2) != "\r\n") return std::nullopt;
        command.emplace_back(text.substr(at, *length));
        at += *length + 2;
    }
    return command;
}

// Commands from `at` to the end; is_whole when nothing but a torn last command was left out.
std::vector<Command> read_commands(std::string_view text, std::size_t at, bool& is_whole) {
    std::vector<Command> commands;
    is_whole = true;
    while (at < text.size()) {
        if (text[at] == '#') {  // a time, see aof-timestamp-enabled
            const std::size_t end = text.find('\n', at);
            if (end == std::string_view::npos) return commands;
            at = end + 1;
            continue;
        }
        std::size_t next = at;
        auto command = read_command(text, next);
        if (!command) {
            is_whole = text[at] == '*' && next_start(text, at + 1) == std::string_view::npos;
            return commands;
        }
        commands.push_back(std::move(*command));
        at = next;
    }
    return commands;
}

std::string tail_path(const std::string& directory, const std::string& node) {
    return directory + "/" + node + "-tail.aof";
}

std::string only_it_had(const std::vector<Command>& writes, const std::string& node) {
    return describe_writes(writes) + ", which only '" + node + "' had";
}

}  // namespace

Json to_json(const Salvaged& salvaged) {
    return Json{{"directory", salvaged.directory},
                {"files", salvaged.files},
                {"bytes", salvaged.bytes},
                {"summary", salvaged.summary},
                {"lost_writes", json_or_null(salvaged.lost_writes)}};
}

bool is_write(const Command& command) {
    static constexpr std::string_view kOthers[] = {"ping",     "publish", "spublish", "select",
                                                   "replconf", "multi",   "exec",     ""};
    const std::string word = command_word(command);
    return std::find(std::begin(kOthers), std::end(kOthers), word) == std::end(kOthers);
}

std::string describe_writes(const std::vector<Command>& writes) {
    std::map<std::string, std::size_t> counts;
    for (const Command& write : writes) ++counts[one_line(command_word(write), 20)];
    std::string text = fmt::format("{} write{}", writes.size(), writes.size() == 1 ? "" : "s");
    std::string separator = ": ";
    for (const auto& [word, count] : counts) {
        text += fmt::format("{}{} {}", separator, word, count);
        separator = ", ";
    }
    return text;
}

std::vector<Command> parse_aof_end(std::string_view text) {
    for (std::size_t at = next_start(text, 0); at != std::string_view::npos;
         at = next_start(text, at + 1)) {
        bool is_whole = false;
        auto commands = read_commands(text, at, is_whole);
        if (is_whole && !commands.empty()) return commands;
    }
    return {};
}

std::optional<std::vector<Command>> find_tail(const std::vector<Command>& own,
                                              const std::vector<Command>& shared) {
    const std::vector<Command> ours = writes_of(own);
    const std::vector<Command> theirs = writes_of(shared);
    for (const std::size_t wanted : kAgreements) {
        const std::size_t length = std::min(wanted, theirs.size());
        if (length == 0 || ours.size() < length) continue;
        const auto begin = theirs.end() - static_cast<std::ptrdiff_t>(length);
        std::vector<std::vector<Command>::const_iterator> places;
        for (auto at = ours.begin(); places.size() < 2; ++at) {
            at = std::search(at, ours.end(), begin, theirs.end());
            if (at == ours.end()) break;
            places.push_back(at);
        }
        // Two places: the same writes again and again, and nobody can say which were shared.
        if (places.size() > 1) return std::nullopt;
        if (places.size() == 1)
            return std::vector<Command>(places.front() + static_cast<std::ptrdiff_t>(length),
                                        ours.end());
    }
    return std::nullopt;
}

std::optional<StreamRange> taken_since_start(const NodeInfo& master) {
    constexpr std::int64_t kLatelySeconds = 600;
    if (!master.is_master || master.is_loading || master.uptime_seconds > kLatelySeconds) return std::nullopt;
    const bool has_begun_without = master.second_offset < 0 && master.backlog_first == 1;
    if (!has_begun_with_a_file(master) && !has_begun_without) return std::nullopt;
    return StreamRange{master.replid, master.backlog_first, master.master_offset};
}

Result<std::string> read_stream(const Target& target, const StreamRange& range, const env::Env& env,
                                const env::Context& context) {
    const std::int64_t count = range.last - range.first + 1;
    if (count <= 0) return std::string();
    if (count > kLargestTail)
        return make_error(ErrorCode::kUnavailable,
                          fmt::format("the tail of '{}' has {} bytes", target.name, count));
    AETERNA_ASSIGN(const auto connection, Connection::open(target, env, context));
    AETERNA_ASSIGN(const Reply reply,
                   connection->call({"PSYNC", range.replid, std::to_string(range.first)}, context));
    if (reply.text.rfind("CONTINUE", 0) != 0)
        return make_error(ErrorCode::kUnavailable,
                          target.name + " has not that part of its history any more");
    return connection->receive_bytes(static_cast<std::size_t>(count), context);
}

Result<std::uint64_t> keep_writes(const std::vector<Command>& writes, const std::string& node,
                                  const std::string& directory, env::Files& files) {
    std::string text;
    for (const Command& write : writes) text += encode_command(write);
    AETERNA_TRY(files.make_directories(directory, 0700));
    AETERNA_TRY(files.write_durable(tail_path(directory, node), text, 0600));
    return static_cast<std::uint64_t>(text.size());
}

Result<Salvaged> find_kept_writes(const std::string& node, const std::string& directory, env::Files& files) {
    AETERNA_ASSIGN(const std::string text, files.read(tail_path(directory, node), kLargestTail));
    const std::vector<Command> writes = writes_of(parse_aof_end(text));
    return Salvaged{directory, 1, text.size(), only_it_had(writes, node), writes.size()};
}

Result<Salvaged> salvage_stream(const Target& target, const StreamRange& range,
                                const std::string& directory, const env::Env& env,
                                const env::Context& context) {
    AETERNA_ASSIGN(const std::string bytes, read_stream(target, range, env, context));
    const std::vector<Command> commands = parse_aof_end(bytes);
    // SELECT, MULTI and EXEC belong to a replay; only what Sentinel and the link said is left out.
    std::vector<Command> kept;
    for (const Command& command : commands) {
        const std::string word = command_word(command);
        if (word != "ping" && word != "publish" && word != "replconf") kept.push_back(command);
    }
    const std::vector<Command> writes = writes_of(commands);
    Salvaged salvaged{directory, 0, 0, "nothing was written by it alone", writes.size()};
    if (writes.empty()) return salvaged;
    AETERNA_ASSIGN(salvaged.bytes, keep_writes(kept, target.name, directory, env.files));
    salvaged.files = 1;
    salvaged.summary = only_it_had(writes, target.name);
    return salvaged;
}

}  // namespace aeterna::redis
