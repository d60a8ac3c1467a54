#include "protocol/redis/adapter/blocking_read.h"

#include <utility>

namespace tidemark::redis {

BlockingRead::BlockingRead(const Call& call, std::optional<std::chrono::milliseconds> block, bool on_nokey)
    : call_(call), block_(block), on_nokey_(on_nokey), found_(call.protocol()) {}

void BlockingRead::begin_stream(std::string_view name, std::size_t entries) {
  ++found_count_;
  if (call_.protocol() == Protocol::resp2) found_.array(2);
  found_.bulk(name);
  found_.array(entries);
}

void BlockingRead::end_look() {
  if (found_count_ > 0) {
    RespWriter reply = call_.writer();
    call_.protocol() == Protocol::resp2 ? reply.array(found_count_) : reply.map(found_count_);
    reply.raw(found_.text());
    return finish([&] { call_.reply(std::move(reply)); });
  }
  if (ended_) return finish_ended();
  if (!block_ || (!blocked_ && !call_.may_block())) return finish([&] { call_.null_array(); });
  if (!blocked_)
    begin_block();
  else
    call_.look_over();
  wait();
}

void BlockingRead::begin_block() {
  blocked_ = true;
  keys_ = names();
  call_.server().blocking_keys.add(keys_, on_nokey_);
  // The session keeps this alive while it waits: what it waits for and timers do not.
  call_.block([self = shared_from_this()](Unblock how) { self->end_block(how); });
  if (block_->count() > 0) {
    timer_ = call_.shard().run_after(*block_, [weak = weak_from_this()] {
      const std::shared_ptr<BlockingRead> self = weak.lock();
      if (!self) return;
      self->timer_.reset();
      self->end_block(Unblock::timeout);
    });
  }
}

/// Asked for from outside. A look under way decides first whether there is something after all.
void BlockingRead::end_block(Unblock how) {
  ended_ = how;
  if (waits()) finish_ended();
}

void BlockingRead::end_blocking() {
  end_wait();
  if (timer_) call_.shard().cancel(*std::exchange(timer_, std::nullopt));
  if (blocked_) call_.server().blocking_keys.remove(keys_, on_nokey_);
}

void BlockingRead::finish_ended() {
  if (*ended_ == Unblock::error) return finish([&] { call_.error("UNBLOCKED client unblocked via CLIENT UNBLOCK"); });
  finish([&] { call_.null_array(); });
}

void BlockingRead::fail(const Error& error) {
  finish([&] { call_.error(error); });
}

}  // namespace tidemark::redis
