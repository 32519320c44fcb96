#include "postgres/capture/host_needs.h"

#include <set>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kPerQuestion = std::chrono::seconds(5);
constexpr std::size_t kMostDatabases = 100;

// The column of the locale has another name in each major version; to_jsonb() takes whichever there is.
constexpr const char* kDatabases =
    "SELECT datname, CASE datlocprovider WHEN 'i' THEN 'icu' ELSE 'libc' END, "
    "CASE datlocprovider WHEN 'i' THEN coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', datcollate) ELSE datcollate END, "
    "coalesce(datcollversion, '') FROM pg_database d WHERE datallowconn AND NOT datistemplate ORDER BY datname";
constexpr const char* kExtensions = "SELECT extname, extversion FROM pg_extension";

class Asker {
  public:
    Asker(const Settings& settings, const NodeSettings& node, const env::Env& env, const env::Context& context)
        : target_(settings.sql_target(node.address)), env_(env), context_(context) {}

    HostNeeds ask() {
        HostNeeds needs;
        auto session = env_.sql.connect(target_, question());
        if (!session) return needs;
        if (const auto shown = (*session)->query("SHOW shared_preload_libraries", {}, question())) {
            needs.libraries = parse_library_list(shown->first().value_or(""));
        }
        const auto databases = (*session)->query(kDatabases, {}, question());
        if (!databases) return needs;
        std::set<DatabaseCollation> collations;
        std::size_t asked = 0;
        for (const auto& row : databases->rows) {
            const std::string name = row[0].value_or("");
            const DatabaseCollation collation{row[1].value_or(""), row[2].value_or(""), row[3].value_or("")};
            if (!collation.version.empty()) collations.insert(collation);
            if (++asked > kMostDatabases || !add_extensions(name, needs)) needs.not_asked.push_back(name);
        }
        needs.collations.assign(collations.begin(), collations.end());
        return needs;
    }

  private:
    [[nodiscard]] env::Context question() const { return env_.clock.within(kPerQuestion, context_); }

    bool add_extensions(const std::string& database, HostNeeds& needs) {
        target_.database = database;
        auto session = env_.sql.connect(target_, question());
        if (!session) return false;
        const auto extensions = (*session)->query(kExtensions, {}, question());
        if (!extensions) return false;
        for (const auto& row : extensions->rows) needs.extensions[row[0].value_or("")] = row[1].value_or("");
        return true;
    }

    env::SqlTarget target_;
    const env::Env& env_;
    const env::Context& context_;
};

}  // namespace

Json host_needs_json(const HostNeeds& needs) {
    Json collations = Json::array();
    for (const DatabaseCollation& one : needs.collations) {
        collations.push_back(Json{{"provider", one.provider}, {"locale", one.locale}, {"version", one.version}});
    }
    return Json{{"collations", collations}, {"extensions", needs.extensions}, {"libraries", needs.libraries}, {"not_asked", needs.not_asked}};
}

HostNeeds read_host_needs(const Json& json) {
    HostNeeds needs;
    if (const Json* collations = find_member(json, "collations"); collations != nullptr && collations->is_array()) {
        for (const Json& one : *collations) {
            needs.collations.push_back({find_string(one, "provider").value_or(""), find_string(one, "locale").value_or(""),
                                        find_string(one, "version").value_or("")});
        }
    }
    if (const Json* extensions = find_member(json, "extensions"); extensions != nullptr && extensions->is_object()) {
        for (const auto& [name, version] : extensions->items()) needs.extensions[name] = version.is_string() ? version.get<std::string>() : "";
    }
    needs.libraries = find_strings(json, "libraries");
    needs.not_asked = find_strings(json, "not_asked");
    return needs;
}

std::vector<std::string> parse_library_list(std::string_view text) {
    std::vector<std::string> libraries;
    for (std::string_view word : split(text, ',')) {
        word = trim(word);
        if (word.size() >= 2 && word.front() == '"' && word.back() == '"') word = word.substr(1, word.size() - 2);
        if (word.starts_with("$libdir/")) word.remove_prefix(8);
        if (!word.empty()) libraries.emplace_back(word);
    }
    return libraries;
}

HostNeeds ask_host_needs(const Settings& settings, const NodeSettings& node, const env::Env& env, const env::Context& context) {
    return Asker(settings, node, env, context).ask();
}

}  // namespace aeterna::postgres
