// Storage in a bucket of S3 or of a server that speaks its protocol. Names become keys below a prefix. Every body is
// signed by its SHA-256, which the server checks: a byte that flips on the way up is refused there and sent again. On
// the way down length and range are checked here; a flipped byte is found by the layer above, whose entries are
// authenticated (and by TLS, where it is used). Memory: `part_bytes` × (`parallel_parts` + 1) per writer.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "env/clock.h"
#include "env/threads.h"
#include "repository/storage/retrying.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

enum class S3Encryption { kServersChoice, kAes256, kAwsKms };

struct S3ObjectLock {
    bool is_compliance = false;  // otherwise GOVERNANCE: those with a special permission may shorten it
    Duration retention{};
};

struct S3Options {
    S3Endpoint endpoint;
    std::string prefix;  // without '/' at its ends; empty: the whole bucket
    std::size_t part_bytes = 8U << 20;
    int parallel_parts = 3;
    int page_entries = 1000;
    S3Encryption encryption = S3Encryption::kServersChoice;
    std::string kms_key_id;  // empty: the account's own key
    std::optional<S3ObjectLock> object_lock;  // the bucket must have it enabled
    // False where the server does not know If-None-Match: then a name is looked up before it is taken, and two
    // writers at the same instant may both believe that they won.
    bool has_conditional_writes = true;
    RetryPolicy retry;
};

struct S3Ports {
    env::HttpClient& http;
    env::Clock& clock;
    env::Random& random;
    env::Threads& threads;
    CredentialSource& credentials;
};

class S3Storage final : public Storage {
  public:
    // kConfiguration where the options cannot be right; asks nobody. The ports outlive it, writers do not.
    [[nodiscard]] static Result<std::unique_ptr<S3Storage>> open(const S3Ports& ports, S3Options options);

    [[nodiscard]] std::string describe() const override;
    Result<std::unique_ptr<ObjectWriter>> create(const std::string& name, const env::Context& context) override;
    Status put(const std::string& name, std::span<const char> bytes, PutMode mode,
               const env::Context& context) override;
    Result<std::size_t> read(const std::string& name, std::uint64_t offset, std::span<char> into,
                             const env::Context& context) override;
    Result<ObjectInfo> stat(const std::string& name, const env::Context& context) override;
    Status list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                const env::Context& context) override;
    Status remove(const std::string& name, const env::Context& context) override;
    // The Date of an answer: whole seconds, rounded down, as the objects' times are.
    Result<WallTime> now(const env::Context& context) override;
    Result<std::size_t> sweep_unfinished(WallTime older_than, const env::Context& context) override;

    // Takes the name "probe/if-none-match-…" twice and removes it: kConfiguration where the server let both pass,
    // which means that two inits at once could both win. For `init`; needs the permission to delete.
    Status verify_conditional_writes(const env::Context& context);

  private:
    class Writer;
    S3Storage(const S3Ports& ports, S3Options options, std::unique_ptr<S3Channel> channel);

    Status check(const std::string& name, const env::Context& context) const;
    [[nodiscard]] std::string key_of(const std::string& name) const;
    // Any answer; `what` leads the message of an error on the way.
    [[nodiscard]] Result<env::HttpResponse> send(S3Request& request, const std::string& what,
                                                 const env::Context& context);
    [[nodiscard]] Error refuse(const env::HttpResponse& response, const S3Request& request,
                               const std::string& what) const;
    // Encryption, object lock and the writer's mark, for what makes an object; the mark.
    std::string add_object_headers(Fields& headers) const;
    // Whether the object there is of the write with this mark.
    [[nodiscard]] Result<bool> is_marked(const std::string& name, const std::string& mark,
                                         const env::Context& context);
    // S3 takes nothing into an object lock without a digest of its own kind.
    static void add_digest(S3Request& request);
    Status put_request(S3Request& request, const std::string& name, PutMode mode, const env::Context& context);
    [[nodiscard]] Result<std::size_t> read_range(const std::string& name, std::uint64_t offset, std::span<char> into,
                                                 const env::Context& context);
    Status abort_upload(const std::string& key, const std::string& id, const env::Context& context);

    S3Ports ports_;
    const S3Options options_;
    std::unique_ptr<S3Channel> channel_;
};

}  // namespace aeterna::repository
