#pragma once

#include <memory>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace tidemark::detail {

/// The thread of a client that was given no executor. It runs until this object goes, and what was posted by then is run before it ends:
/// joined, unless the object goes on the thread itself, which then ends by itself. Everything that would keep it busy for ever must have
/// been cancelled by then.
class IoThread {
 public:
  IoThread();
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  boost::asio::io_context& context() { return *context_; }
  std::shared_ptr<boost::asio::io_context> shared_context() const { return context_; }
  bool is_current() const { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  using WorkGuard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
  const std::shared_ptr<boost::asio::io_context> context_;  ///< Shared with the thread, which may outlive this object.
  WorkGuard work_;
  std::thread thread_;
};

}  // namespace tidemark::detail
