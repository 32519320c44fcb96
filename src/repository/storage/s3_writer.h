// A large object on S3: parts of equal size, several on their way at once, made one by CompleteMultipartUpload. What
// fits into one part is one plain PUT.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "repository/storage/s3.h"

namespace aeterna::repository {

class S3Storage::Writer final : public ObjectWriter {
  public:
    Writer(S3Storage& storage, std::string name) : storage_(storage), name_(std::move(name)) {}
    // Waits for parts on their way and aborts the upload, as well as that can be done.
    ~Writer() override;

    Status append(std::span<const char> bytes, const env::Context& context) override;
    Status commit(const env::Context& context) override;

  private:
    // Written by its thread alone, read after join.
    struct Part {
        std::unique_ptr<env::Thread> thread;
        Status outcome;
        std::string etag;
    };

    [[nodiscard]] std::string what() const;
    Status begin(const env::Context& context);
    Status send_part(const env::Context& context);
    void upload(Part& part, S3Request request, const env::Context& context) const;
    // Until at most `left` parts are on their way; the first error of those that ended.
    Status wait_until(std::size_t left);
    Status complete(const env::Context& context);
    // An earlier attempt may have completed the upload already.
    [[nodiscard]] Status look_after(const env::HttpResponse& response, const S3Request& request,
                                    const env::Context& context);

    S3Storage& storage_;
    std::string name_;
    std::string buffer_;
    std::string upload_id_;
    std::string mark_;
    std::deque<std::unique_ptr<Part>> on_their_way_;
    std::vector<std::string> etags_;
    Status failure_;
    bool is_done_ = false;
};

}  // namespace aeterna::repository
