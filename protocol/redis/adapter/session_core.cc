#include "protocol/redis/adapter/session_core.h"

#include <algorithm>
#include <utility>

#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/words.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"

namespace tidemark::redis {
namespace {

/// A Slice that owns the text's memory.
Slice to_slice(std::string text) {
  auto owner = std::make_shared<std::string>(std::move(text));
  auto* const data = reinterpret_cast<std::byte*>(owner->data());
  const std::size_t size = owner->size();
  return {std::shared_ptr<std::byte[]>(std::move(owner), data), data, size};
}

/// Replies one after another, small ones together: thousands of pieces would cost more than their copying.
class OutputBuilder {
 public:
  explicit OutputBuilder(net::Output& output) : output_(output) {}

  void add(std::string reply) {
    constexpr std::size_t kOwnPieceBytes = 16 * 1024;
    if (reply.size() < kOwnPieceBytes) {
      small_ += reply;
      return;
    }
    flush();
    output_.add(to_slice(std::move(reply)));
  }
  void flush() {
    if (!small_.empty()) output_.add(to_slice(std::exchange(small_, {})));
  }

 private:
  net::Output& output_;
  std::string small_;
};

std::int64_t seconds_since(SteadyTime then, SteadyTime now) { return std::chrono::duration_cast<std::chrono::seconds>(now - then).count(); }

}  // namespace

SessionCore::SessionCore(boost::asio::io_context& io, ServerState& server, broker::Shard& shard, const SessionLimits& limits,
                         std::string address, std::string local_address, std::shared_ptr<void> admission)
    : server_(server),
      shard_(shard),
      limits_(limits),
      admission_(std::move(admission)),
      id_(server.clients.next_id()),
      scanner_(limits.request),
      output_signal_(io, boost::asio::steady_timer::time_point::max()),
      input_signal_(io, boost::asio::steady_timer::time_point::max()) {
  facts_.address = std::move(address);
  facts_.local_address = std::move(local_address);
  facts_.connected = facts_.last_command = runtime().clock().steady();
  server_.statistics.connection_opened();
  server_.clients.enter(shard_.index(), *this);
}

SessionCore::~SessionCore() { server_.clients.leave(shard_.index(), *this); }

void SessionCore::set_name(std::string_view name) {
  facts_.name = name;
  if (entry_) entry_->set_client_id(name);
}

void SessionCore::set_reply_mode(ReplyMode mode) {
  reply_mode_ = mode;
  if (mode == ReplyMode::on) slots_.back().muted = false;  // The command that asks for replies gets one.
}

std::string SessionCore::describe() const {
  const SteadyTime now = server_.runtime.clock().steady();
  std::string flags;
  if (subscription_count() > 0) flags += 'P';
  if (multi_.active) flags += 'x';
  if (blocked()) flags += 'b';
  if (facts_.no_evict) flags += 'e';
  if (facts_.no_touch) flags += 'T';
  if (flags.empty()) flags = "N";
  const std::size_t queue = chunk_bytes_;
  std::string text = "id=" + std::to_string(id_) + " addr=" + facts_.address + " laddr=" + facts_.local_address +
                     " fd=0 name=" + facts_.name + " age=" + std::to_string(seconds_since(facts_.connected, now)) +
                     " idle=" + std::to_string(seconds_since(facts_.last_command, now)) + " flags=" + flags +
                     " db=0 sub=" + std::to_string(channels_.size()) + " psub=" + std::to_string(patterns_.size()) +
                     " ssub=0 multi=" + (multi_.active ? std::to_string(multi_.queued.size()) : "-1") + " qbuf=" + std::to_string(queue) +
                     " qbuf-free=0 argv-mem=" + std::to_string(bytes_in_flight_) + " multi-mem=" + std::to_string(multi_.bytes) +
                     " obl=0 oll=" + std::to_string(slots_.size()) + " omem=" + std::to_string(output_bytes_) +
                     " tot-mem=" + std::to_string(sizeof(*this) + queue + bytes_in_flight_ + multi_.bytes + output_bytes_) +
                     " events=" + (may_read() ? "r" : "w") + " cmd=" + facts_.last_command_name +
                     " user=default redir=-1 resp=" + std::to_string(static_cast<int>(protocol_));
  if (server_.facts.compat == ServerFacts::Compat::v7_2) text += " lib-name=" + facts_.library_name + " lib-ver=" + facts_.library_version;
  return text;
}

Status SessionCore::start(const Slice& requests) {
  facts_.input_bytes += requests.size();
  server_.statistics.bytes_read(requests.size());
  chunks_.push_back(requests);
  chunk_bytes_ += requests.size();
  pump();
  return {};
}

bool SessionCore::parse_next() {
  while (!next_request_ && !chunks_.empty() && !ending_) {
    const Slice& chunk = chunks_.front();
    const Slice rest = chunk.subslice(chunk_position_, chunk.size() - chunk_position_);
    Request request;
    request.arguments = std::move(spare_arguments_);
    const std::size_t size = parse_request(rest.writable(), request.arguments);
    chunk_position_ += size;
    chunk_bytes_ -= size;
    if (!request.arguments.empty()) {
      // What is kept for long is kept alone; a request that is answered soon shares the chunk's memory.
      request.bytes = chunk;
      const Result<const CommandSpec*> command = look_up(request.arguments);
      request.command = command ? *command : nullptr;
      refused_ = command ? std::string() : command.error().detail;
      next_request_ = std::move(request);
      next_bytes_ = size;
    } else {
      spare_arguments_ = std::move(request.arguments);
    }
    if (chunk_position_ == chunks_.front().size()) {
      chunks_.pop_front();
      chunk_position_ = 0;
    }
  }
  return next_request_.has_value();
}

std::string SessionCore::judge(const Request& request) const {
  if (request.command == nullptr) return refused_;
  const std::string_view name = request.command->name;
  const bool about_subscriptions = (request.command->flags & kPubSub) != 0 && name != "publish" && !name.starts_with("pubsub");
  if (only_subscribing() && !about_subscriptions && name != "ping" && name != "quit" && name != "reset") {
    return "ERR Can't execute '" + std::string(name) +
           "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
  }
  if (multi_.active && (request.command->flags & kNoMulti) != 0) return "ERR Command not allowed inside a transaction";
  return {};
}

bool SessionCore::to_be_queued(const Request& request) const {
  if (!multi_.active || request.command == nullptr) return false;
  const std::string_view name = request.command->name;
  return name != "exec" && name != "discard" && name != "multi" && name != "watch" && name != "quit" && name != "reset";
}

void SessionCore::pump() {
  if (std::exchange(pumping_, true)) return;
  // A handler may end the last reference but the coroutines': those are told by close().
  const std::shared_ptr<SessionCore> self = shared_from_this();
  while (!held_by_ && !ending_ && parse_next()) {
    Request& request = *next_request_;
    const bool runs = request.command != nullptr && !to_be_queued(request);
    if (runs && (!in_flight_.may_begin(request) || !passes_fences(request))) break;
    Request taken = std::move(request);
    next_request_.reset();
    begin(taken);
    spare_arguments_ = std::move(taken.arguments);
  }
  pumping_ = false;
  say_last_words();
}

bool SessionCore::passes_fences(const Request& request) {
  if (server_.fences->admits(shard_.index(), request)) return true;
  if (std::exchange(at_fence_, true)) return false;
  server_.fences->when_moved(shard_.index(), [weak = weak_from_this()] {
    const std::shared_ptr<SessionCore> self = weak.lock();
    if (!self) return;
    self->at_fence_ = false;
    self->pump();
  });
  return false;
}

void SessionCore::leave_fences(ReplySlot& slot) {
  if (slot.fence_number) server_.fences->end(shard_.index(), *std::exchange(slot.fence_number, std::nullopt));
}

void SessionCore::look_again(std::uint64_t slot, const std::vector<std::string>& keys, std::function<void()> look) {
  if (server_.fences->admits(shard_.index(), keys)) {
    slot_of(slot).fence_number = server_.fences->begin(shard_.index());
    return look();
  }
  server_.fences->when_moved(shard_.index(), [self = shared_from_this(), slot, keys, look = std::move(look)]() mutable {
    self->look_again(slot, keys, std::move(look));
  });
}

void SessionCore::begin(const Request& request) {
  const std::uint64_t number = first_slot_ + slots_.size();
  ReplySlot& slot = slots_.emplace_back();
  slot.cost = next_bytes_;
  bytes_in_flight_ += next_bytes_;
  slot.started = runtime().clock().steady();
  slot.muted = reply_mode_ != ReplyMode::on;
  if (reply_mode_ == ReplyMode::skip_next) reply_mode_ = ReplyMode::on;
  facts_.last_command = slot.started;
  ++facts_.commands;
  const std::string refusal = judge(request);
  if (!refusal.empty()) return refuse(number, request, refusal);
  if (to_be_queued(request)) return queue(number, request);
  slot.command = request.command;
  facts_.last_command_name = request.command->name;
  slot.use = in_flight_.begin(request);
  if (KeyFences::concerns(*request.command)) slot.fence_number = server_.fences->begin(shard_.index());
  request.command->handler(Call(shared_from_this(), nullptr, number), request);
}

void SessionCore::refuse(std::uint64_t slot, const Request& request, std::string_view why) {
  if (multi_.active) multi_.failed = true;
  if (request.command != nullptr) server_.statistics.command_rejected(*request.command);
  std::string text(why);
  if (is_word(request[0], "exec")) {
    // Nobody will send another EXEC after one that was refused.
    multi_.clear();
    multi_.watched.clear();
    text = "EXECABORT Transaction discarded because of: " + text.substr(text.starts_with("ERR ") ? 4 : 0);
  }
  server_.statistics.error_replied(text);
  RespWriter reply(protocol_);
  reply.error(text);
  answer(slot, std::move(reply).take());
}

void SessionCore::queue(std::uint64_t slot, const Request& request) {
  multi_.bytes += next_bytes_;
  if (multi_.bytes > MultiState::kBytesMax) return refuse(slot, request, "ERR the transaction is too large");
  // The memory of a chunk is much larger than a request, and a transaction may stay open for long.
  Request kept;
  kept.command = request.command;
  std::size_t size = 0;
  for (const std::string_view argument : request.arguments) size += argument.size();
  kept.bytes = Slice::allocate(size);
  char* at = reinterpret_cast<char*>(kept.bytes.data());
  for (const std::string_view argument : request.arguments) {
    kept.arguments.emplace_back(at, argument.size());
    at = std::ranges::copy(argument, at).out;
  }
  multi_.queued.push_back(std::move(kept));
  answer(slot, "+QUEUED\r\n");
}

void SessionCore::answer(std::uint64_t number, std::string reply) {
  ReplySlot& slot = slot_of(number);
  CHECK(!slot.ready);
  slot.ready = true;
  if (slot.command != nullptr) {
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(runtime().clock().steady() - slot.started);
    server_.statistics.command_done(*slot.command, time, reply.starts_with('-'));
    in_flight_.end(slot.use);
    leave_fences(slot);
  }
  if (!slot.muted) slot.reply = std::move(reply);
  output_bytes_ += slot.reply.size();
  if (held_by_ == number) {
    held_by_.reset();
    unblock_ = nullptr;
    if (std::exchange(blocked_, false)) server_.clients.blocked().fetch_sub(1);
  }
  if (closed_) return;
  output_signal_.cancel();
  pump();
}

void SessionCore::hold(std::uint64_t slot) {
  CHECK(!held_by_);
  held_by_ = slot;
}

void SessionCore::block(std::uint64_t slot, UniqueFunction<void(Unblock)> unblock) {
  CHECK(held_by_ == slot && !blocked_ && taking_);
  blocked_ = true;
  unblock_ = std::move(unblock);
  server_.clients.blocked().fetch_add(1);
  leave_fences(slot_of(slot));
}

bool SessionCore::unblock(Unblock how) {
  if (!unblock_) return false;
  std::exchange(unblock_, nullptr)(how);
  return true;
}

void SessionCore::end_after(std::uint64_t slot) {
  slot_of(slot).last = true;
  ending_ = true;
  chunks_.clear();
  chunk_bytes_ = chunk_position_ = 0;
  stop_taking();
}

void SessionCore::push(std::string message) {
  if (closed_) return;
  if (output_bytes_ + message.size() > limits_.output_bytes_max) {
    log(LogLevel::warn, "redis client " + facts_.address + " does not take the messages it subscribed to; its connection is closed");
    return close();
  }
  output_bytes_ += message.size();
  pushes_.push_back(std::move(message));
  output_signal_.cancel();
}

void SessionCore::unsubscribe_all() {
  for (const std::string& name : channels_) server_.pubsub.unsubscribe(shard_.index(), PubSub::Kind::channel, name, *this);
  for (const std::string& name : patterns_) server_.pubsub.unsubscribe(shard_.index(), PubSub::Kind::pattern, name, *this);
  channels_.clear();
  patterns_.clear();
}

void SessionCore::stop_taking() {
  taking_ = false;
  static_cast<void>(unblock(Unblock::gone));  // Nothing was blocked, or it answers soon.
  output_signal_.cancel();
  input_signal_.cancel();
}

void SessionCore::fail(const Error& error) {
  if (!taking_) return;
  log(LogLevel::debug, "redis client " + facts_.address + ": " + printable(error.to_string()));
  if (error.code == Errc::protocol_error) last_words_ = "ERR " + error.detail;
  stop_taking();
  pump();
}

/// Behind the last reply, once everything before it has been started.
void SessionCore::say_last_words() {
  if (last_words_.empty() || next_request_ || !chunks_.empty() || ending_) return;
  ReplySlot& slot = slots_.emplace_back();
  RespWriter reply(protocol_);
  reply.error(last_words_);
  server_.statistics.error_replied(last_words_);
  last_words_.clear();
  ending_ = true;
  if (reply_mode_ == ReplyMode::on) slot.reply = std::move(reply).take();
  slot.ready = slot.last = true;
  output_bytes_ += slot.reply.size();
  output_signal_.cancel();
}

net::Output SessionCore::take_output() {
  net::Output output;
  OutputBuilder builder(output);
  while (!slots_.empty() && slots_.front().ready) {
    ReplySlot& slot = slots_.front();
    builder.add(std::move(slot.reply));
    bytes_in_flight_ -= slot.cost;
    slots_.pop_front();
    ++first_slot_;
  }
  for (std::string& message : pushes_) builder.add(std::move(message));
  pushes_.clear();
  builder.flush();
  return output;
}

bool SessionCore::may_read() const {
  return slots_.size() < limits_.requests_in_flight_max && bytes_in_flight_ + chunk_bytes_ < limits_.bytes_in_flight_max &&
         output_bytes_ < limits_.output_bytes_max;
}

void SessionCore::sent(std::size_t bytes) {
  CHECK(bytes <= output_bytes_);
  output_bytes_ -= bytes;
  facts_.output_bytes += bytes;
  server_.statistics.bytes_written(bytes);
  input_signal_.cancel();
}

void SessionCore::close() {
  if (closed_) return;
  const std::shared_ptr<SessionCore> self = shared_from_this();
  closed_ = true;
  ending_ = true;
  stop_taking();
  unsubscribe_all();
  server_.clients.leave(shard_.index(), *this);
  shut_socket();
}

}  // namespace tidemark::redis
