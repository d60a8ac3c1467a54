#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "storage/base/check.h"

namespace tidemark {

template <class Signature>
class UniqueFunction;

/// A move-only callable, what std::move_only_function is in C++23. Empty after a move and by default.
template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}  // NOLINT: implicit by design.
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> && std::is_invocable_r_v<R, F&, Args...>) UniqueFunction(F&& f)
      : target_(new Target<std::decay_t<F>>(std::forward<F>(f))) {}  // NOLINT: implicit by design.

  explicit operator bool() const { return target_ != nullptr; }
  R operator()(Args... args) {
    CHECK(target_ != nullptr);
    return target_->call(std::forward<Args>(args)...);
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct Target final : Base {
    template <class G>
    explicit Target(G&& g) : f(std::forward<G>(g)) {}
    R call(Args... args) override { return f(std::forward<Args>(args)...); }
    F f;
  };

  std::unique_ptr<Base> target_;
};

}  // namespace tidemark
