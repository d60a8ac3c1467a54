// Load on a quorum queue of RabbitMQ through librabbitmq, one figure a run, as JSON.
//
//     amqp_load HOST:PORT QUEUE WORKERS BATCH COUNT SIZE RATE
//
// One publisher with confirms (RATE records a second, 0: as fast as the broker confirms them) and WORKERS consumers, each with a connection
// and a thread. A worker is given up to BATCH records, acknowledges them in one frame, and is given the next ones when the queue has taken
// that: AMQP has no answer to an acknowledgement, and a prefetch of BATCH is what comes closest.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <amqp.h>
#include <amqp_tcp_socket.h>

#include "bench/compare/queue_load.h"

namespace {

using namespace tidemark::bench;

constexpr amqp_channel_t kChannel = 1;
constexpr std::size_t kUnconfirmedMax = 1000;

void check(const amqp_rpc_reply_t& reply, std::string_view what) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
  die(what, reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? amqp_error_string2(reply.library_error) : "refused by the broker");
}

void check(int status, std::string_view what) {
  if (status != AMQP_STATUS_OK) die(what, amqp_error_string2(status));
}

class Connection {
 public:
  explicit Connection(const Address& address) : state_(amqp_new_connection()) {
    amqp_socket_t* const socket = amqp_tcp_socket_new(state_);
    check(amqp_socket_open(socket, address.host.c_str(), address.port), "connect");
    check(amqp_login(state_, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login");
    amqp_channel_open(state_, kChannel);
    check(amqp_get_rpc_reply(state_), "channel");
  }
  Connection(Connection&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Connection& operator=(Connection&&) = delete;
  ~Connection() {
    if (state_ != nullptr) amqp_destroy_connection(state_);
  }
  amqp_connection_state_t get() const { return state_; }
  void check_answer(std::string_view what) const { check(amqp_get_rpc_reply(state_), what); }

 private:
  amqp_connection_state_t state_;
};

amqp_bytes_t bytes(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

void declare(const Connection& connection, std::string_view queue) {
  amqp_table_entry_t type;
  type.key = amqp_cstring_bytes("x-queue-type");
  type.value.kind = AMQP_FIELD_KIND_UTF8;
  type.value.value.bytes = amqp_cstring_bytes("quorum");
  amqp_queue_declare(connection.get(), kChannel, bytes(queue), 0, 1, 0, 0, {1, &type});
  connection.check_answer("declare");
}

/// The delivery tag up to which the broker has confirmed now. Waits for a confirm.
std::uint64_t next_confirm(const Connection& connection) {
  for (;;) {
    amqp_frame_t frame;
    check(amqp_simple_wait_frame(connection.get(), &frame), "confirm");
    if (frame.frame_type != AMQP_FRAME_METHOD) continue;
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) die("confirm", "the broker refused a record");
    const auto* const ack = static_cast<amqp_basic_ack_t*>(frame.payload.method.decoded);
    return ack->delivery_tag;
  }
}

void publish(const Connection& connection, std::string_view queue, QueueRun& run) {
  amqp_confirm_select(connection.get(), kChannel);
  connection.check_answer("confirm.select");
  amqp_basic_properties_t persistent{};
  persistent._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
  persistent.delivery_mode = AMQP_DELIVERY_PERSISTENT;
  const std::size_t unconfirmed_max = run.paced() ? 1 : kUnconfirmedMax;
  std::uint64_t confirmed = 0;
  const auto wait_until = [&](std::uint64_t tag) {
    while (confirmed < tag) confirmed = std::max(confirmed, next_confirm(connection));
    amqp_maybe_release_buffers(connection.get());
  };
  for (std::size_t i = 0; i < run.count(); ++i) {
    check(amqp_basic_publish(connection.get(), kChannel, amqp_empty_bytes, bytes(queue), 0, 0, &persistent, bytes(run.next_value(i))),
          "publish");
    if (i + 1 >= confirmed + unconfirmed_max) wait_until(i + 1 - unconfirmed_max / 2);
  }
  wait_until(run.count());
}

void subscribe(const Connection& connection, std::string_view queue, std::size_t batch) {
  amqp_basic_qos(connection.get(), kChannel, 0, static_cast<std::uint16_t>(batch), 0);
  connection.check_answer("qos");
  amqp_basic_consume(connection.get(), kChannel, bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
  connection.check_answer("consume");
}

void work(const Connection& connection, std::size_t batch, QueueRun& run) {
  timeval soon{0, 100'000};
  timeval now{0, 0};
  std::size_t taken = 0;
  std::uint64_t last = 0;
  while (!run.finished()) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection.get());
    const amqp_rpc_reply_t reply = amqp_consume_message(connection.get(), &envelope, taken > 0 ? &now : &soon, 0);
    const bool none = reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT;
    if (!none) {
      check(reply, "deliver");
      if (!run.received({static_cast<char*>(envelope.message.body.bytes), envelope.message.body.len})) die("record", "not one of this run");
      last = envelope.delivery_tag;
      ++taken;
      amqp_destroy_envelope(&envelope);
    }
    if (taken == 0 || (!none && taken < batch)) continue;
    check(amqp_basic_ack(connection.get(), kChannel, last, 1), "ack");
    run.settled(taken);
    taken = 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr, "usage: amqp_load HOST:PORT QUEUE WORKERS BATCH COUNT SIZE RATE\n");
    return 2;
  }
  const auto number = [&](int index) { return static_cast<std::size_t>(std::strtoull(argv[index], nullptr, 10)); };
  const Address server = parse_address(argv[1]);
  const std::string queue = argv[2];
  const std::size_t workers = number(3);
  const std::size_t batch = number(4);
  QueueRun run(number(5), number(6), number(7));
  Connection publisher(server);
  declare(publisher, queue);
  std::vector<Connection> connections;
  for (std::size_t i = 0; i < workers; ++i) {
    connections.emplace_back(server);
    subscribe(connections.back(), queue, batch);
  }
  run.begin();
  std::vector<std::thread> threads;
  for (const Connection& connection : connections) threads.emplace_back([&] { work(connection, batch, run); });
  publish(publisher, queue, run);
  for (std::thread& thread : threads) thread.join();
  connections.clear();  // Before the queue goes, or the broker tells them.
  Connection remover(server);
  amqp_queue_delete(remover.get(), kChannel, bytes(queue), 0, 0);
  remover.check_answer("delete");
  run.print();
  return 0;
}
