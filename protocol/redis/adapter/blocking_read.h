#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/redis/adapter/call.h"

namespace tidemark::redis {

/// What XREAD and XREADGROUP do alike. They look at each stream in turn and gather the reply; when nothing was found and BLOCK was given,
/// they wait for news of any stream, for the time to pass or for CLIENT UNBLOCK, and on news look again. All on the session's shard.
class BlockingRead : public std::enable_shared_from_this<BlockingRead> {
 public:
  virtual ~BlockingRead() = default;

 protected:
  /// `block`: how long to wait, 0 for ever, nullopt not at all. `on_nokey`: it wants to hear that the key has gone, too.
  BlockingRead(const Call& call, std::optional<std::chrono::milliseconds> block, bool on_nokey);

  // What waiting is made of. None of it keeps this alive: the session does.
  virtual std::vector<std::string> names() const = 0;  ///< Of the streams, as the client wrote them.
  virtual void wait() = 0;                             ///< For news of any stream; then look_again() of the call, with keys().
  virtual bool waits() const = 0;
  virtual void end_wait() = 0;  ///< Also when there is none.

  template <class Derived>
  std::shared_ptr<Derived> self_as() {
    return std::static_pointer_cast<Derived>(shared_from_this());
  }

  const Call& call() const { return call_; }
  bool blocked() const { return blocked_; }
  const std::vector<std::string>& keys() const { return keys_; }
  bool found_any() const { return found_count_ > 0; }
  RespWriter& found() { return found_; }
  /// What is written to found() next is so many entries of this stream.
  void begin_stream(std::string_view name, std::size_t entries);
  /// Every stream was looked at: answers with what was found, or waits.
  void end_look();
  void fail(const Error& error);

  /// Ends waiting, then answers. The last call.
  template <class Answer>
  void finish(const Answer& answer) {
    const std::shared_ptr<BlockingRead> self = shared_from_this();
    end_blocking();
    answer();
  }

 private:
  void begin_block();
  void end_block(Unblock how);
  void end_blocking();
  void finish_ended();

  const Call call_;
  const std::optional<std::chrono::milliseconds> block_;
  const bool on_nokey_;
  RespWriter found_;
  std::size_t found_count_ = 0;
  bool blocked_ = false;
  std::optional<Unblock> ended_;
  std::vector<std::string> keys_;
  std::optional<broker::TimerId> timer_;
};

}  // namespace tidemark::redis
