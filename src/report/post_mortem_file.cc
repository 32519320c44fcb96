#include "report/post_mortem_file.h"

#include <fmt/format.h>

#include <utility>

#include "report/human_text.h"
#include "report/post_mortem.h"

namespace aeterna::report {

PostMortemFile::PostMortemFile(std::string id, const config::Stack& stack, engine::Journal& journal,
                               const env::Env& env)
    : id_(std::move(id)), stack_(stack), journal_(journal), env_(env) {}

std::string PostMortemFile::directory() const { return stack_.state_directory + "/post-mortems"; }
std::string PostMortemFile::path() const { return fmt::format("{}/{}.md", directory(), id_); }
std::string PostMortemFile::human_path() const {
    return fmt::format("{}/{}.human.md", directory(), id_);
}

Result<std::string> PostMortemFile::render() const {
    AETERNA_ASSIGN(auto material,
                   collect_material(id_, stack_.name, stack_.state_directory, journal_));
    if (env_.files.exists(human_path())) {
        AETERNA_ASSIGN(const std::string words, env_.files.read(human_path()));
        material.human = parse_human_text(words);
    }
    return post_mortem_markdown(material);
}

Result<std::string> PostMortemFile::show() const {
    // An id is not a path: nothing outside of the directory is ever read.
    const bool is_name = id_.find('/') == std::string::npos;
    std::optional<std::string> written;
    if (is_name && env_.files.exists(path())) {
        AETERNA_ASSIGN(written, env_.files.read(path()));
        if (!is_sealed(*written)) return *written;
    }
    auto rendered = render();
    const bool is_forgotten = !rendered && rendered.error().code == ErrorCode::kNotFound;
    return is_forgotten && written ? Result<std::string>(*written) : rendered;
}

Result<std::optional<std::string>> PostMortemFile::write() const {
    AETERNA_TRY(env_.files.make_directories(directory()));
    AETERNA_ASSIGN(auto record, journal_.drill(id_));
    if (record && record->scorecard.is_object()) {
        record->scorecard["post_mortem"] = path();
        AETERNA_TRY(journal_.put_drill(*record));
    }
    AETERNA_ASSIGN(const std::string text, render());
    AETERNA_ASSIGN(auto moved, move_edited_aside());
    AETERNA_TRY(env_.files.write_durable(path(), seal(text, id_)));
    return moved;
}

Result<std::optional<std::string>> PostMortemFile::move_edited_aside() const {
    if (!env_.files.exists(path())) return std::optional<std::string>();
    AETERNA_ASSIGN(const std::string present, env_.files.read(path()));
    if (is_sealed(present)) return std::optional<std::string>();
    std::string aside;
    for (int n = 1; aside.empty() || env_.files.exists(aside); ++n) {
        aside = fmt::format("{}/{}.edited-{}.md", directory(), id_, n);
    }
    AETERNA_TRY(env_.files.write_durable(aside, present));
    return std::optional<std::string>(aside);
}

}  // namespace aeterna::report
