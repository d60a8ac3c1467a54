#include "client/src/io_thread.h"

#include <pthread.h>

namespace tidemark::detail {

IoThread::IoThread()
    : context_(std::make_shared<boost::asio::io_context>(1)), work_(boost::asio::make_work_guard(*context_)), thread_([context = context_] {
        pthread_setname_np(pthread_self(), "tidemark-client");
        context->run();
      }) {}

IoThread::~IoThread() {
  work_.reset();
  if (is_current()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

}  // namespace tidemark::detail
