#pragma once

#include <memory>
#include <mutex>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace tidemark::detail {

/// The thread of a client that was given no executor.
class IoThread {
 public:
  IoThread();
  ~IoThread();

  boost::asio::io_context& context() { return *context_; }
  std::shared_ptr<boost::asio::io_context> shared_context() const { return context_; }
  bool is_current() const;

  /// Runs what is left and ends the thread. On the thread itself: runs what is left inside this call; the thread then ends by itself.
  /// Everything that would keep it busy for ever must have been cancelled.
  void finish();

 private:
  using WorkGuard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
  const std::shared_ptr<boost::asio::io_context> context_;  ///< Shared with the thread, which may outlive this object.
  WorkGuard work_;
  std::mutex mutex_;
  std::thread thread_;
  std::thread::id thread_id_;
};

}  // namespace tidemark::detail
