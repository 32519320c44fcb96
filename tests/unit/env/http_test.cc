// The HTTP client and the HTTP server against each other, and the client against raw sockets.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <atomic>

#include "env/posix/errors.h"
#include "real_env.h"

namespace aeterna::env::testing {
namespace {

class HttpTest : public ::testing::Test {
  protected:
    void serve(HttpHandler handler) {
        endpoint_ = free_endpoint();
        auto server = real().http_listener.serve(endpoint_, std::move(handler));
        ASSERT_TRUE(server) << server.error().to_string();
        server_ = std::move(*server);
    }
    [[nodiscard]] HttpRequest request(const std::string& method, const std::string& target,
                                      const std::string& body = "") const {
        HttpRequest result;
        result.method = method;
        result.url = "http://" + endpoint_.to_string() + target;
        result.body = body;
        // Or the server's end would wait for the idle time of kept connections.
        result.headers.emplace_back("Connection", "close");
        return result;
    }

    Endpoint endpoint_;
    std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpTest, EveryMethodPathQueryHeaderAndBodyArrives) {
    serve([](const ServerRequest& seen) {
        std::string text = seen.method + " " + seen.path;
        for (const auto& [name, value] : seen.query) text += " " + name + "=" + value;
        if (seen.headers.count("x-test") != 0) text += " " + seen.headers.at("x-test");
        return ServerResponse{299, "text/plain", text + "|" + seen.body, {{"X-Reply", "yes"}}};
    });
    for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
        const bool has_body = std::string(method) != "GET" && std::string(method) != "OPTIONS";
        const std::string body = has_body ? R"({"a":1})" : "";
        HttpRequest sent = request(method, "/deep/p%20ath?b=%2B1&a=x+y&flag", body);
        sent.headers.emplace_back("X-Test", "here");
        const auto got = real().http.send(sent, within(5s));
        ASSERT_TRUE(got) << method << ": " << got.error().to_string();
        EXPECT_EQ(got->status, 299);
        EXPECT_EQ(got->headers.at("x-reply"), "yes");
        EXPECT_EQ(got->body, std::string(method) + " /deep/p ath a=x y b=+1 flag= here|" + body);
    }
    const auto head = real().http.send(request("HEAD", "/"), within(5s));
    ASSERT_TRUE(head);
    EXPECT_EQ(head->status, 299);
    EXPECT_EQ(head->body, "");
}

TEST_F(HttpTest, BasicAuthenticationIsSentAndForgotten) {
    serve([](const ServerRequest& seen) {
        const auto found = seen.headers.find("authorization");
        return ServerResponse{200, "text/plain", found == seen.headers.end() ? "none" : found->second, {}};
    });
    HttpRequest sent = request("GET", "/");
    sent.user = "user";
    sent.password = Secret("pass");
    EXPECT_EQ(real().http.send(sent, within(5s))->body, "Basic dXNlcjpwYXNz");
    EXPECT_EQ(real().http.send(request("GET", "/"), within(5s))->body, "none");
}

TEST_F(HttpTest, AHandlerThatThrowsGives500) {
    serve([](const ServerRequest&) -> ServerResponse { throw 1; });
    EXPECT_EQ(real().http.send(request("GET", "/"), within(5s))->status, 500);
}

TEST_F(HttpTest, RedirectsAreAnswersNotOrders) {
    serve([](const ServerRequest&) {
        return ServerResponse{307, "text/plain", "", {{"Location", "http://127.0.81.1:1/"}}};
    });
    EXPECT_EQ(real().http.send(request("GET", "/"), within(5s))->status, 307);
}

TEST_F(HttpTest, TwoServersOnOnePortFail) {
    serve([](const ServerRequest&) { return ServerResponse{}; });
    const auto second = real().http_listener.serve(endpoint_, [](const ServerRequest&) { return ServerResponse{}; });
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
    server_.reset();
    EXPECT_TRUE(real().http_listener.serve(endpoint_, [](const ServerRequest&) { return ServerResponse{}; }));
}

TEST_F(HttpTest, TooLargeAnAnswerIsAnError) {
    serve([](const ServerRequest&) { return ServerResponse{200, "text/plain", std::string(5000, 'x'), {}}; });
    HttpRequest sent = request("GET", "/");
    sent.response_limit_bytes = 4999;
    EXPECT_EQ(real().http.send(sent, within(5s)).error().code, ErrorCode::kProtocol);
    sent.response_limit_bytes = 5000;
    EXPECT_TRUE(real().http.send(sent, within(5s)));
}

// As in dialer_test.cc.
TEST_F(HttpTest, AKernelThatSendsNothingIsNoAnswer) {
    endpoint_ = {"fe80::1", 1};
    EXPECT_EQ(real().http.send(request("GET", "/"), within(5s)).error().code, ErrorCode::kUnreachable);
}

TEST_F(HttpTest, RefusedTimeoutAndStopAreToldApart) {
    endpoint_ = free_endpoint();
    EXPECT_EQ(real().http.send(request("GET", "/"), within(5s)).error().code, ErrorCode::kConnectionRefused);

    std::stop_source release;
    serve([&](const ServerRequest&) {
        real().clock.sleep_for(20s, release.get_token());
        return ServerResponse{};
    });
    const auto late = real().http.send(request("POST", "/", "{}"), within(100ms));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
    EXPECT_EQ(late.error().effect, Effect::kUnknown);
    EXPECT_EQ(real().http.send(request("GET", "/"), within(100ms)).error().effect, Effect::kNone);

    std::stop_source stop;
    Result<HttpResponse> stopped = make_error(ErrorCode::kInternal, "");
    const MonoTime start = real().clock.now();
    const auto thread = real().threads.start("client", [&](std::stop_token) {
        stopped = real().http.send(request("GET", "/"), within(1h, stop.get_token()));
    });
    stop.request_stop();
    thread->join();
    EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
    EXPECT_LT(real().clock.now() - start, 10s);
    release.request_stop();
}

// A server of one connection: gives each request that arrives on it the next of `answers`, then closes it.
class OneConnection {
  public:
    explicit OneConnection(std::vector<std::string> answers) : endpoint_(free_endpoint()) {
        socket_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(endpoint_.port));
        ::inet_pton(AF_INET, endpoint_.host.c_str(), &address.sin_addr);
        EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(socket_.get(), 1), 0);
        thread_ = real().threads.start("raw-server", [this, answers = std::move(answers)](std::stop_token) {
            const Descriptor peer(::accept(socket_.get(), nullptr, nullptr));
            socket_.reset();
            char buffer[65536];
            for (const std::string& answer : answers) {
                if (::recv(peer.get(), buffer, sizeof buffer, 0) <= 0) return;
                (void)::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
            }
        });
    }
    [[nodiscard]] Result<HttpResponse> send(const std::string& method) const {
        HttpRequest request;
        request.method = method;
        request.url = "http://" + endpoint_.to_string() + "/";
        return real().http.send(request, within(5s));
    }

  private:
    Endpoint endpoint_;
    Descriptor socket_;
    std::unique_ptr<Thread> thread_;
};

TEST(HttpRaw, ConnectionsAreReused) {
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const OneConnection server({answer, answer, answer});
    for (int i = 0; i < 3; ++i) {
        const auto got = server.send("GET");
        ASSERT_TRUE(got) << got.error().to_string();
        EXPECT_EQ(got->body, "ok");
    }
}

TEST(HttpRaw, WhatIsNoHttpIsAProtocolErrorAndAnEndIsALoss) {
    EXPECT_EQ(OneConnection({"SSH-2.0-x\r\n"}).send("GET").error().code, ErrorCode::kProtocol);
    EXPECT_EQ(OneConnection({""}).send("GET").error().code, ErrorCode::kConnectionLost);
    const auto cut = OneConnection({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"}).send("POST");
    EXPECT_EQ(cut.error().code, ErrorCode::kConnectionLost);
    EXPECT_EQ(cut.error().effect, Effect::kUnknown);
    // Its length, its date or its last header are gone: no answer to build on.
    for (const char* head : {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nETag: \"a", "HTTP/1.1 200 OK\r\nETag: a\r\n"}) {
        const auto half = OneConnection({head}).send("PUT");
        ASSERT_FALSE(half) << head;
        EXPECT_EQ(half.error().code, ErrorCode::kConnectionLost) << half.error().to_string();
    }
}

TEST(HttpRaw, ARepeatThatIsRefusedIsStillOfUnknownEffect) {
    // libcurl sends a request again when a reused connection ends without an answer; the first may have worked.
    const OneConnection server({"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""});
    ASSERT_TRUE(server.send("POST"));
    const auto second = server.send("POST");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().effect, Effect::kUnknown) << second.error().to_string();
}

TEST_F(HttpTest, WrongAddressesAndHeadersAreRefused) {
    HttpRequest sent;
    sent.url = "ftp://user:geheim@127.0.81.1/";
    const auto wrong = real().http.send(sent, within(1s));
    EXPECT_EQ(wrong.error().code, ErrorCode::kConfiguration);
    EXPECT_EQ(wrong.error().to_string().find("geheim"), std::string::npos);

    endpoint_ = free_endpoint();
    sent = request("GET", "/");
    sent.headers.emplace_back("X-Bad", "a\r\nX-Forged: b");
    EXPECT_EQ(real().http.send(sent, within(1s)).error().code, ErrorCode::kUsage);
}

TEST_F(HttpTest, TlsToAPlainServerSaysSo) {
    serve([](const ServerRequest&) { return ServerResponse{}; });
    HttpRequest sent;
    sent.url = "https://" + endpoint_.to_string() + "/";
    const auto got = real().http.send(sent, within(5s));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, ErrorCode::kServer);
    EXPECT_NE(got.error().message.find("TLS"), std::string::npos);
}

TEST_F(HttpTest, ManyThreadsShareTheClient) {
    serve([](const ServerRequest& seen) { return ServerResponse{200, "text/plain", seen.path, {}}; });
    std::vector<std::unique_ptr<Thread>> threads;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 8; ++i) {
        threads.push_back(real().threads.start("client", [&, i](std::stop_token) {
            const std::string path = "/" + std::to_string(i);
            for (int n = 0; n < 20; ++n) {
                const auto got = real().http.send(request("GET", path), within(20s));
                if (!got || got->body != path) ++wrong;
            }
        }));
    }
    for (const auto& thread : threads) thread->join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace aeterna::env::testing
