// Where post-mortems lie on disk: state_directory/post-mortems/ID.md is generated, ID.human.md is
// what people have written (human_text.h). A generated file that somebody has edited by hand is
// never overwritten: it is moved aside.
#pragma once

#include <optional>
#include <string>

#include "config/stack.h"
#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::report {

class PostMortemFile {
  public:
    // All must outlive it. kNotFound comes from render() and write(): an id counts only if the
    // journal knows it.
    PostMortemFile(std::string id, const config::Stack& stack, engine::Journal& journal,
                   const env::Env& env);

    [[nodiscard]] std::string path() const;
    [[nodiscard]] std::string human_path() const;
    // From the journal and from what people have written.
    [[nodiscard]] Result<std::string> render() const;
    // What a reader should see: a file that somebody has edited by hand as it is, else what
    // render() gives, else (the journal knows it no more) the file.
    [[nodiscard]] Result<std::string> show() const;
    // Writes the generated file; a drill's scorecard then knows its path. Where a file edited by
    // hand was moved to, if there was one.
    [[nodiscard]] Result<std::optional<std::string>> write() const;

  private:
    [[nodiscard]] std::string directory() const;
    [[nodiscard]] Result<std::optional<std::string>> move_edited_aside() const;

    std::string id_;
    const config::Stack& stack_;
    engine::Journal& journal_;
    const env::Env& env_;
};

}  // namespace aeterna::report
