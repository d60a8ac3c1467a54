#include "client/src/io_thread.h"

#include <pthread.h>

namespace tidemark::detail {

IoThread::IoThread()
    : context_(std::make_shared<boost::asio::io_context>(1)), work_(boost::asio::make_work_guard(*context_)), thread_([context = context_] {
        pthread_setname_np(pthread_self(), "tidemark-client");
        context->run();
      }) {
  thread_id_ = thread_.get_id();
}

IoThread::~IoThread() { finish(); }

bool IoThread::is_current() const { return std::this_thread::get_id() == thread_id_; }

void IoThread::finish() {
  if (is_current()) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock.owns_lock()) {  // Otherwise another thread is joining us already.
      work_.reset();
      if (thread_.joinable()) thread_.detach();
    }
    context_->poll();
    return;
  }
  const std::lock_guard lock(mutex_);
  work_.reset();
  if (thread_.joinable()) thread_.join();
}

}  // namespace tidemark::detail
