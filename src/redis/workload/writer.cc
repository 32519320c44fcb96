// The two writers and the judgement of what a write's end means.
#include "redis/workload/writer.h"

#include "base/strings.h"
#include "redis/client/info.h"
#include "redis/client/sentinel.h"

namespace aeterna::redis {
namespace {

using engine::WriteOutcome;
using engine::WriteReply;

constexpr Duration kSentinelTimeout = 200ms;
constexpr Duration kConnectTimeout = 500ms;

Command set_command(const std::string& drill_id, std::uint64_t id) {
    const std::string text = std::to_string(id);
    return {"SET", drill_key_prefix(drill_id) + text, text, "EX", "86400"};
}

WriteReply not_connected(const Error& error, const std::string& node) {
    return {WriteOutcome::kFail, node, error.to_string()};
}

class DirectWriter final : public engine::Writer {
  public:
    DirectWriter(SettingsPointer settings, const RedisNode& node, std::string drill_id, const env::Env& env)
        : target_(node_target(*settings, node)), drill_id_(std::move(drill_id)), env_(env) {}

    WriteReply write(std::uint64_t id, const env::Context& context) override {
        if (!connection_ || !connection_->is_usable()) {
            connection_.reset();
            auto opened = Connection::open(target_, env_, env_.clock.within(kConnectTimeout, context));
            if (!opened) return not_connected(opened.error(), target_.name);
            connection_ = std::move(*opened);
        }
        return classify_write(connection_->call(set_command(drill_id_, id), context), target_.name);
    }

  private:
    Target target_;
    std::string drill_id_;
    const env::Env& env_;
    std::unique_ptr<Connection> connection_;
};

class ClientWriter final : public engine::Writer {
  public:
    ClientWriter(SettingsPointer settings, std::string drill_id, const env::Env& env)
        : settings_(std::move(settings)), drill_id_(std::move(drill_id)), env_(env),
          order_(settings_->sentinels) {}

    WriteReply write(std::uint64_t id, const env::Context& context) override {
        if (!connection_ || !connection_->is_usable()) {
            connection_.reset();
            if (Status status = connect(context); !status) return not_connected(status.error(), node_);
        }
        auto result = connection_->call(set_command(drill_id_, id), context);
        // Not the master any more (or not able to be one): the next write asks the Sentinels again.
        if (!result && result.error().code == ErrorCode::kReadOnly) connection_.reset();
        return classify_write(result, node_);
    }

  private:
    Status connect(const env::Context& context) {
        AETERNA_ASSIGN(const env::Endpoint address, discover(context));
        node_ = settings_->name_of(address);
        const Target target{node_, address, settings_->user, settings_->password};
        const env::Context narrow = env_.clock.within(kConnectTimeout, context);
        AETERNA_ASSIGN(auto opened, Connection::open(target, env_, narrow));
        AETERNA_ASSIGN(const Reply reply, opened->call({"ROLE"}, narrow));
        AETERNA_ASSIGN(const Role role, parse_role(reply));
        if (!role.is_master())
            return make_error(ErrorCode::kReadOnly, node_ + " is named as master, but is a replica");
        connection_ = std::move(opened);
        return {};
    }

    // The first Sentinel that answers goes to the front, as the guidelines say.
    Result<env::Endpoint> discover(const env::Context& context) {
        Error last = make_error(ErrorCode::kUnavailable, "no Sentinel answers");
        for (std::size_t i = 0; i < order_.size(); ++i) {
            auto address = ask(order_[i], env_.clock.within(kSentinelTimeout, context));
            if (!address) {
                last = address.error();
                continue;
            }
            std::swap(order_[0], order_[i]);
            return address;
        }
        return last;
    }

    Result<env::Endpoint> ask(const RedisNode& sentinel, const env::Context& context) {
        AETERNA_ASSIGN(auto open, Connection::open(sentinel_target(*settings_, sentinel), env_, context));
        AETERNA_ASSIGN(const Reply reply,
                       open->call({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings_->master_name}, context));
        AETERNA_ASSIGN(const auto address, parse_master_address(reply));
        if (address) return *address;
        return make_error(ErrorCode::kNotFound, sentinel.name + " does not know '" + settings_->master_name + "'");
    }

    SettingsPointer settings_;
    std::string drill_id_;
    const env::Env& env_;
    std::vector<RedisNode> order_;
    std::string node_;
    std::unique_ptr<Connection> connection_;
};

}  // namespace

std::string drill_key_prefix(const std::string& drill_id) { return "aeterna-dr:drill:" + drill_id + ":"; }

std::optional<std::uint64_t> drill_id_of_key(std::string_view key, const std::string& drill_id) {
    const std::string prefix = drill_key_prefix(drill_id);
    if (key.substr(0, prefix.size()) != prefix) return std::nullopt;
    const auto id = to_integer(key.substr(prefix.size()));
    if (!id || *id < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*id);
}

WriteReply classify_write(const Result<Reply>& result, const std::string& node) {
    if (result && result->is_text() && result->text == "OK") return {WriteOutcome::kOk, node, ""};
    if (result) return {WriteOutcome::kUnknown, node, "the reply to SET has an unknown form"};
    const Error& error = result.error();
    const bool is_certain = error.effect == Effect::kNone;
    return {is_certain ? WriteOutcome::kFail : WriteOutcome::kUnknown, node, error.to_string()};
}

std::unique_ptr<engine::Writer> make_client_writer(SettingsPointer settings, const std::string& drill_id,
                                                   const env::Env& env) {
    return std::make_unique<ClientWriter>(std::move(settings), drill_id, env);
}

std::unique_ptr<engine::Writer> make_direct_writer(SettingsPointer settings, const RedisNode& node,
                                                   const std::string& drill_id, const env::Env& env) {
    return std::make_unique<DirectWriter>(std::move(settings), node, drill_id, env);
}

}  // namespace aeterna::redis
