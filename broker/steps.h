#pragma once

namespace tidemark::broker {

/// Asynchronous steps one after another, without a deeper stack for steps that end at once: clients choose how many there are.
class Steps {
 public:
  /// `next` begins a step, which must say ended() once, now or later; false: there are no more. The object must outlive the call.
  template <class Next>
  void run(const Next& next) {
    do {
      ended_ = false;
      inside_ = true;
      const bool begun = next();
      inside_ = false;
      if (!begun) return;
    } while (ended_);
  }

  /// True: the step has ended later, and run() must be called again.
  bool ended() {
    ended_ = true;
    return !inside_;
  }

 private:
  bool inside_ = false;
  bool ended_ = false;
};

}  // namespace tidemark::broker
