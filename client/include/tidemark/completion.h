#pragma once

#include <utility>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include "storage/base/result.h"

/// How the asynchronous operations of the client complete.
///
/// Every `async_x(.., token)` takes any Asio completion token for the signature `void(Result<T>)`: a callback, asio::use_future,
/// asio::use_awaitable, or nothing, which means asio::deferred, so that `co_await producer.async_send(record)` works bare and yields a
/// Result<T>. Nothing is thrown. Completions run on the handler's associated executor, or else on the client's; never inside the
/// initiating call. The handler's executor counts the operation as outstanding work. A cancellation slot ends the wait with
/// Errc::cancelled; what was sent to the broker by then may still take effect (Error::maybe_done).
namespace tidemark {

namespace asio = boost::asio;

template <class T>
using Completion = asio::any_completion_handler<void(Result<T>)>;

template <class Token, class T>
concept CompletionToken = asio::completion_token_for<Token, void(Result<T>)>;

}  // namespace tidemark
