#include "s3_servers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

namespace aeterna::repository::testing {
namespace {

class StandInServer final : public S3Server {
  public:
    StandInServer(const env::Env& env, StandInOptions options) : server_(env, std::move(options)) {}
    S3Place place() const override {
        const StandInOptions& options = server_.options();
        return {server_.endpoint(), options.bucket, options.region, options.access_key_id, options.secret, 1, ""};
    }

  private:
    S3StandIn server_;
};

class Versitygw final : public S3Server {
  public:
    Versitygw(const env::Env& env, const std::string& binary, bool with_tls) : env_(env), with_tls_(with_tls) {
        std::string pattern = "/var/tmp/aeterna-test-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        std::filesystem::create_directories(directory_ + "/buckets/aeterna-test");
        endpoint_ = {"127.0.89." + std::to_string(1 + env.random.next() % 250), 0};
        for (int attempt = 0; attempt < 200 && endpoint_.port == 0; ++attempt) {
            endpoint_.port = 20000 + static_cast<int>(env.random.next() % 10000);
            if (!env.dialer.can_listen(endpoint_)) endpoint_.port = 0;
        }
        if (with_tls_) make_certificate();
        start(binary);
    }
    ~Versitygw() override {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    S3Place place() const override {
        return {endpoint_, "aeterna-test", "us-east-1", "TESTACCESSKEY", "test-secret-key", 5U << 20,
                with_tls_ ? directory_ + "/certificate.pem" : ""};
    }
    // False when it ended, or does not answer in half a minute.
    bool wait_until_ready() {
        const MonoTime end = env_.clock.now() + 30s;
        while (env_.clock.now() < end && ::waitpid(pid_, nullptr, WNOHANG) == 0) {
            if (env_.dialer.connect(endpoint_, {env_.clock.now() + 1s, {}, "test"})) return true;
            env_.clock.sleep_for(10ms, {});
        }
        return false;
    }

  private:
    void make_certificate() {
        env::RunOptions openssl;
        openssl.argv = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=aeterna-test", "-addext", "subjectAltName=IP:" + endpoint_.host,
                        "-keyout", directory_ + "/key.pem", "-out", directory_ + "/certificate.pem"};
        const auto made = env_.processes.run(openssl, {env_.clock.now() + 60s, {}, "test"});
        EXPECT_TRUE(made && made->exit_status == 0) << "openssl req failed";
    }

    void start(const std::string& binary) {
        const std::string port = endpoint_.to_string();
        const std::string root = directory_ + "/buckets";
        const S3Place me = place();
        pid_ = ::fork();
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // never outlives the test
        ::setenv("ROOT_ACCESS_KEY", me.access_key_id.c_str(), 1);
        ::setenv("ROOT_SECRET_KEY", me.secret.c_str(), 1);
        const int log = ::open((directory_ + "/log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::dup2(log, 1);
        ::dup2(log, 2);
        if (with_tls_) {
            ::setenv("VGW_CERT", (directory_ + "/certificate.pem").c_str(), 1);
            ::setenv("VGW_KEY", (directory_ + "/key.pem").c_str(), 1);
        }
        ::execl(binary.c_str(), "versitygw", "--port", port.c_str(), "--keep-alive", "--quiet", "posix", root.c_str(),
                nullptr);
        ::_exit(127);
    }

    const env::Env& env_;
    const bool with_tls_;
    std::string directory_;
    env::Endpoint endpoint_;
    pid_t pid_ = -1;
};

}  // namespace

std::unique_ptr<S3Server> start_stand_in(const env::Env& env, StandInOptions options) {
    return std::make_unique<StandInServer>(env, std::move(options));
}

std::optional<std::string> find_versitygw(const env::Env& env) {
    std::vector<std::string> places;
    if (const auto named = env.files.environment_variable("AETERNA_VERSITYGW")) places.push_back(*named);
    const std::string binary = "/versitygw-v1.8.0/versitygw";
    const std::string own = "/aeterna-dr" + binary;
    if (const auto cache = env.files.environment_variable("AETERNA_CACHE")) places.push_back(*cache + binary);
    places.push_back("/var/cache" + own);
    if (const auto cache = env.files.environment_variable("XDG_CACHE_HOME")) places.push_back(*cache + own);
    if (const auto home = env.files.environment_variable("HOME")) places.push_back(*home + "/.cache" + own);
    for (const std::string& place : places) {
        if (::access(place.c_str(), X_OK) == 0) return place;
    }
    return std::nullopt;
}

std::unique_ptr<S3Server> start_versitygw(const env::Env& env, const std::string& binary, bool with_tls) {
    auto server = std::make_unique<Versitygw>(env, binary, with_tls);
    if (server->wait_until_ready()) return server;
    ADD_FAILURE() << "versitygw does not start";
    return nullptr;
}

S3Options options_for(const S3Place& place, const std::string& prefix) {
    S3Options options;
    options.endpoint.url = (place.ca_file.empty() ? "http://" : "https://") + place.endpoint.to_string();
    options.endpoint.tls.ca_file = place.ca_file;
    options.endpoint.region = place.region;
    options.endpoint.bucket = place.bucket;
    options.endpoint.path_style = true;
    options.prefix = prefix;
    options.part_bytes = std::max<std::size_t>(place.smallest_part_bytes, 256U << 10);
    options.page_entries = 11;
    options.retry.first_wait = 1ms;
    options.retry.longest_wait = 10ms;
    return options;
}

}  // namespace aeterna::repository::testing
