#include "hosts/fence_marker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"

namespace aeterna::hosts {
namespace {

constexpr std::size_t kMarkerLimitBytes = 64 << 10;

// It becomes a file name: nothing that could lead out of the directory or hide.
bool is_file_name(const std::string& text) {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text.size() <= 200 && text.front() != '.' &&
           std::all_of(text.begin(), text.end(), is_plain);
}

Status check_names(const std::string& node, const std::string& holder) {
    for (const std::string& name : {node, holder}) {
        if (!is_file_name(name)) {
            return make_error(ErrorCode::kUsage,
                              fmt::format("'{}' cannot name a fence", one_line(name)));
        }
    }
    return {};
}

FenceMarker read_marker(env::Files& files, const std::string& path, const std::string& node,
                        const std::string& holder) {
    FenceMarker marker{node, holder, "its marker cannot be read", {}};
    const auto text = files.read(path, kMarkerLimitBytes);
    const auto document = text ? parse_json(*text, path) : Result<Json>(text.error());
    if (!document) return marker;
    marker.reason = one_line(find_string(*document, "reason").value_or("no reason is given"));
    if (const auto since = parse_time(find_string(*document, "since").value_or(""))) {
        marker.since = *since;
    }
    return marker;
}

}  // namespace

Status put_marker(env::Files& files, const std::string& directory, const FenceMarker& marker) {
    AETERNA_TRY(check_names(marker.node, marker.holder));
    const std::string folder = directory + "/" + marker.node;
    const std::string path = folder + "/" + marker.holder;
    if (files.exists(path)) return {};
    AETERNA_TRY(files.make_directories(folder, 0755));
    const Json document{{"reason", marker.reason}, {"since", format_time(marker.since)}};
    return files.write_durable(path, dump_json(document) + "\n", 0644);
}

Status remove_marker(env::Files& files, const std::string& directory, const std::string& node,
                     const std::string& holder) {
    AETERNA_TRY(check_names(node, holder));
    const std::string folder = directory + "/" + node;
    AETERNA_TRY(files.remove(folder + "/" + holder));
    // What a killed put_marker left: nobody else removes it.
    const auto names = files.list(folder);
    for (const std::string& name : names.value_or(std::vector<std::string>{})) {
        if (env::is_left_by_write(name, holder)) AETERNA_TRY(files.remove(folder + "/" + name));
    }
    return {};
}

Result<std::vector<FenceMarker>> markers_of(env::Files& files, const std::string& directory,
                                            const std::string& node) {
    std::vector<FenceMarker> markers;
    const std::string folder = directory + "/" + node;
    const auto names = files.list(folder);
    if (!names && names.error().code == ErrorCode::kNotFound) return markers;
    if (!names) return wrap_error(names.error(), fmt::format("fences of '{}'", node));
    for (const std::string& holder : *names) {
        // A half-written one holds nothing yet: its fence has not begun to kill.
        if (holder.starts_with('.')) continue;
        markers.push_back(read_marker(files, folder + "/" + holder, node, holder));
    }
    return markers;
}

Result<std::vector<FenceMarker>> all_markers(env::Files& files, const std::string& directory) {
    std::vector<FenceMarker> all;
    const auto nodes = files.list(directory);
    if (!nodes && nodes.error().code == ErrorCode::kNotFound) return all;
    if (!nodes) return wrap_error(nodes.error(), "fences");
    for (const std::string& node : *nodes) {
        AETERNA_ASSIGN(const auto markers, markers_of(files, directory, node));
        all.insert(all.end(), markers.begin(), markers.end());
    }
    return all;
}

Status require_unfenced(env::Files& files, const std::string& directory, const std::string& node) {
    AETERNA_ASSIGN(const auto markers, markers_of(files, directory, node));
    if (markers.empty()) return {};
    std::vector<std::string> holders;
    for (const FenceMarker& marker : markers) {
        holders.push_back(fmt::format("{} ({})", marker.holder, marker.reason));
    }
    return make_error(ErrorCode::kGuardRefused,
                      fmt::format("'{}' is fenced by {}", node, join(holders, ", ")),
                      fmt::format("It is lifted by its holder, or by 'aeterna-dr unfence {}'.", node));
}

}  // namespace aeterna::hosts
