#include "lab/backups.h"

#include "env/posix/file_system.h"
#include "env/posix/file_tree.h"
#include "repository/repository.h"
#include "repository/storage/local.h"

namespace aeterna::lab {

std::string repository_directory(const Layout& layout) { return layout.path("repository"); }
std::string repository_key_file(const Layout& layout) { return layout.secret_file("repository.key"); }

Status prepare_repository(const Layout& layout, const env::Env& env, const env::Context& context) {
    const std::string file = repository_key_file(layout);
    if (!env.files.exists(file)) {
        const std::string made = repository::key_file_text(repository::make_key(env.random));
        AETERNA_TRY(env.files.write_durable(file, made, 0600));
    }
    AETERNA_ASSIGN(const std::string text, env.files.read(file, 1 << 16));
    AETERNA_ASSIGN(const repository::Credential key, repository::parse_credential(text));
    const auto tree = env::make_posix_file_tree();
    const auto files = env::make_posix_file_system();
    repository::LocalStorage storage(*files, env.random, env.clock, repository_directory(layout));
    const repository::Ports ports{env.clock, env.random, env.threads, env.files, *tree};
    const Status made = repository::Repository::init(storage, key, {}, ports, context);
    return !made && made.error().code == ErrorCode::kAlreadyExists ? Status() : made;
}

}  // namespace aeterna::lab
