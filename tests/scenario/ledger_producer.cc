// Produces numbered records without end and prints one line for each that was acknowledged: "partition offset number". The test keeps
// the lines in its own process, so that what the broker promised survives the broker.
//
//     ledger_producer HOST:PORT TOPIC FIRST_NUMBER PARTITIONS [KEYS]        with KEYS, record n has the key n modulo KEYS

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <tidemark/client.h>

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) return 2;
  tidemark::ClientOptions options;
  options.server = argv[1];
  const std::string topic = argv[2];
  std::uint64_t number = std::strtoull(argv[3], nullptr, 10);
  const auto partitions = static_cast<std::int32_t>(std::strtol(argv[4], nullptr, 10));
  const std::uint64_t keys = argc == 6 ? std::strtoull(argv[5], nullptr, 10) : 0;
  tidemark::Client client(options);
  tidemark::ProducerOptions how;
  how.buffer_bytes = 256 * 1024;
  how.batch_bytes = 4 * 1024;
  auto producer = client.producer(topic, how);
  if (!producer) {
    std::fprintf(stderr, "%s\n", producer.error().to_string().c_str());
    return 1;
  }
  // Until killed, or until the reader of our output is gone.
  while (std::ferror(stdout) == 0) {
    const std::string value = "record-" + std::to_string(number) + std::string(number % 700, 'x');
    const std::string key = keys > 0 ? std::to_string(number % keys) : "";
    tidemark::Record record;
    if (keys > 0) record.key = key;
    record.value = value;
    record.partition = static_cast<std::int32_t>(number % static_cast<std::uint64_t>(partitions));
    const auto printed = [number](const tidemark::Result<tidemark::Stored>& stored) {
      if (!stored) {
        std::fprintf(stderr, "record %llu: %s\n", static_cast<unsigned long long>(number), stored.error().to_string().c_str());
        return;
      }
      std::printf("%d %lld %llu\n", stored->partition, static_cast<long long>(stored->offset.value),
                  static_cast<unsigned long long>(number));
      std::fflush(stdout);
    };
    // A full buffer makes the loop wait for one answer instead of spinning.
    if (!producer->try_post(record, printed)) {
      printed(producer->send(record));
    }
    ++number;
  }
  return 0;
}
