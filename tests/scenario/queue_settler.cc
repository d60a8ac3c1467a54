// A member of a queue group that receives so many records, prints their values, and then either rejects them with a reason and ends, or
// keeps them until its input is closed.
//
//     queue_settler HOST:PORT TOPIC GROUP MEMBER RECORDS [REASON]

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <tidemark/client.h>

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) return 2;
  tidemark::ClientOptions where;
  where.server = argv[1];
  tidemark::Client client(where);
  auto consumer = client.queue_consumer({.group = argv[3], .topic = argv[2], .member = argv[4], .create = false, .prefetch = 0});
  if (!consumer) {
    std::fprintf(stderr, "%s\n", consumer.error().to_string().c_str());
    return 1;
  }
  const std::size_t records = std::strtoul(argv[5], nullptr, 10);
  for (std::size_t received = 0; received < records;) {
    const auto messages = consumer->receive(records - received, std::chrono::hours(1));
    if (!messages) {
      std::fprintf(stderr, "%s\n", messages.error().to_string().c_str());
      return 1;
    }
    received += messages->size();
    for (const tidemark::QueueMessage& message : *messages) {
      if (argc == 7) {
        if (const auto settled = consumer->settle(message, tidemark::Reject{.reason = argv[6]}); !settled) {
          std::fprintf(stderr, "%s\n", settled.error().to_string().c_str());
          return 1;
        }
      }
      std::printf("%s\n", std::string(message.value().value_or("")).c_str());
    }
    std::fflush(stdout);
  }
  while (argc == 6 && std::getchar() != EOF) {
  }
  return consumer->close() ? 0 : 1;
}
