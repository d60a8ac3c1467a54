// A program of somebody else's: another compiler, the installed package and nothing of the source tree.
#include <exception>
#include <iostream>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <tidemark/client.h>

namespace {

namespace asio = boost::asio;
using tidemark::Position;
using tidemark::Result;

int fail(const std::string& what, const tidemark::Error& error) {
  std::cerr << what << ": " << error.to_string() << '\n';
  return 1;
}

/// Reads the topic from its start, with a bare co_await and with use_awaitable.
asio::awaitable<int> count_messages(tidemark::Client& client, std::string topic) {
  tidemark::ReaderOptions options;
  options.from = Position::earliest();
  options.to = Position::latest();
  Result<tidemark::Reader> reader = co_await client.async_reader(topic, options);
  if (!reader) co_return fail("reader", reader.error());
  int seen = 0;
  for (;;) {
    const Result<std::optional<tidemark::Message>> next = co_await reader->async_next(asio::use_awaitable);
    if (!next) co_return fail("next", next.error());
    if (!*next) break;
    if ((*next)->value().value_or("").substr(0, 6) != "value ") co_return 1;
    ++seen;
  }
  std::cout << "read " << seen << '\n';
  co_return seen == 3 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: outside HOST:PORT TOPIC\n";
    return 2;
  }
  const std::string topic = argv[2];
  tidemark::ClientOptions options;
  options.server = argv[1];

  {
    tidemark::Client client(options);
    if (const auto created = client.admin().create_topic({.name = topic, .partitions = 2}); !created) {
      return fail("create", created.error());
    }
    Result<tidemark::Producer> producer = client.producer(topic);
    if (!producer) return fail("producer", producer.error());
    const Result<tidemark::Stored> stored = producer->send({.key = "k", .value = "value 1"});
    if (!stored) return fail("send", stored.error());
    if (stored->durability != "fsync" || stored->offset.value != 0) return 1;
    auto future = producer->async_send({.key = "k", .value = "value 2"}, asio::use_future);
    if (const Result<tidemark::Stored> second = future.get(); !second) return fail("async_send", second.error());
    if (!producer->try_post({.value = "value 3"})) return 1;
    if (const tidemark::Status flushed = producer->flush(); !flushed) return fail("flush", flushed.error());
  }

  // The same client on an event loop of our own: no thread of the library's.
  asio::io_context loop;
  tidemark::Client client(loop.get_executor(), options);
  int exit_code = 1;
  asio::co_spawn(loop, count_messages(client, topic), [&](const std::exception_ptr& thrown, int result) {
    if (!thrown) exit_code = result;
    client.close();
  });
  loop.run();
  return exit_code;
}
