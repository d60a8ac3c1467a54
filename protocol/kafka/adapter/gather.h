#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "protocol/kafka/adapter/call.h"

namespace tidemark::kafka {

/// A call whose answer has parts that the engine works on side by side. It is answered once: when the last part has come, or when its
/// time is up, with what the response says by then; so each part's place is filled beforehand with what a late part is to say.
/// Lives on the call's shard, shared by the parts under way.
template <class Response>
class Gather : public std::enable_shared_from_this<Gather<Response>> {
 public:
  /// `timeout_ms` as the client sent it: zero or less sets no limit. (It once asked a broker with a separate controller not to wait.)
  static std::shared_ptr<Gather> begin(const Call& call, std::int32_t timeout_ms) {
    std::shared_ptr<Gather> gather(new Gather(call));
    if (timeout_ms <= 0) return gather;
    gather->timer_ = call.shard().run_after(std::chrono::milliseconds(timeout_ms), [weak = std::weak_ptr<Gather>(gather)] {
      const std::shared_ptr<Gather> late = weak.lock();
      if (!late) return;
      late->timer_.reset();
      late->answer();
    });
    return gather;
  }
  static std::shared_ptr<Gather> begin(const Call& call) { return begin(call, 0); }

  /// Filled by the one who began and by the parts; it must not be touched after the answer, so parts get it handed in.
  Response response;

  /// The engine's answer to one part; `put` writes it into the response.
  template <class T>
  broker::Done<T> part(std::function<void(Response&, Result<T>)> put) {
    ++waiting_;
    return [self = this->shared_from_this(), put = std::move(put)](Result<T> result) {
      if (self->answered_) return;
      put(self->response, std::move(result));
      self->end_part();
    };
  }
  /// All parts have been started. Must be called once.
  void end_part() {
    if (--waiting_ == 0) answer();
  }

 private:
  explicit Gather(const Call& call) : call_(call) {}

  void answer() {
    if (std::exchange(answered_, true)) return;
    if (timer_) call_.shard().cancel(*std::exchange(timer_, std::nullopt));
    call_.reply(response);
  }

  const Call call_;
  std::size_t waiting_ = 1;
  bool answered_ = false;
  std::optional<broker::TimerId> timer_;
};

}  // namespace tidemark::kafka
