// A server's view of AWS Signature Version 4: works from the received request and the header that lists what was
// signed. Written apart from the signer, over another interface of OpenSSL, so that both must be right.
#pragma once

#include <string>
#include <string_view>

#include "env/net.h"

namespace aeterna::repository::testing {

struct SignatureCheck {
    std::string access_key_id;
    std::string secret;
    std::string region;

    // S3's code for what is wrong; empty: nothing.
    [[nodiscard]] std::string find_fault(const env::ServerRequest& request) const;
    [[nodiscard]] static std::string encode(std::string_view text, bool keep_slash);
};

[[nodiscard]] std::string digest_hex(std::string_view bytes);

}  // namespace aeterna::repository::testing
