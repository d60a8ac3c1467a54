#include "tools/tidemark/demo_shop.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace tidemark::tools {
namespace {

using SteadyPoint = std::chrono::steady_clock::time_point;

constexpr std::array<std::string_view, 3> kSteps = {"placed", "paid", "shipped"};
constexpr auto kStepCount = static_cast<std::int64_t>(kSteps.size());
/// Orders under way at the same time: their events mingle.
constexpr std::int64_t kOpenOrders = 50;
constexpr std::chrono::milliseconds kPatience{200};
/// After which a service takes its broker for gone; so long may the end of the demo take then.
constexpr std::chrono::seconds kAnswerPatience{10};
constexpr std::chrono::minutes kReminderDelay{15};
/// One for each partition of `orders`, so that all of them move.
constexpr std::size_t kInventoryMembers = 4;
constexpr std::size_t kBillingThreads = 4;
constexpr std::size_t kShippedBeforeTheHang = 20;
constexpr std::size_t kAnalysedOfEachPartition = 50;

struct NewShopTopic {
  const char* name;
  std::int32_t partitions;
};
constexpr NewShopTopic kTopics[] = {{"orders", 4}, {"stock-moves", 4}, {"invoices", 2}, {"reminders", 1}};

std::string order_key(std::int64_t order) { return fmt::format("order-{}", order); }

/// Which order, and which step of it, the n-th event is: an order is a step further when kOpenOrders others have begun.
std::pair<std::int64_t, std::int64_t> event_at(std::int64_t n) {
  const std::int64_t block = n / (kOpenOrders * kStepCount), within = n % (kOpenOrders * kStepCount);
  return {block * kOpenOrders + within % kOpenOrders, within / kOpenOrders};
}

std::string order_event(std::int64_t order, std::int64_t step) {
  const std::int64_t cents = 500 + order * 7919 % 20'000;
  return fmt::format(R"({{"order":"{}","step":"{}","items":{},"total":"{}.{:02}","customer":"customer-{}"}})", order_key(order),
                     kSteps[static_cast<std::size_t>(step)], 1 + order % 5, cents / 100, cents % 100, order * 31 % 997);
}

/// What billing has against an order; empty: nothing.
std::string billing_fault(std::string_view key) {
  const std::string_view number = key.substr(std::min(key.size(), std::string_view("order-").size()));
  if (number.size() >= 2 && number.ends_with("07")) return "no billing address";
  if (number.size() >= 3 && number.ends_with("42") && (number[number.size() - 3] - '0') % 2 == 0) return "card declined: expired";
  return {};
}

ProducerOptions producer_options() {
  ProducerOptions options;
  options.delivery_timeout = kAnswerPatience;
  return options;
}

Status published(Producer& producer, const Record& record) {
  while (!producer.try_post(record)) {
    if (const Status flushed = producer.flush(); !flushed) return flushed.error();
  }
  return {};
}

}  // namespace

DemoShop::DemoShop(Options options) : options_(std::move(options)) {}
DemoShop::~DemoShop() { close(); }

Client DemoShop::connect(const std::string& client_id) const {
  ClientOptions options;
  options.server = options_.server;
  options.client_id = client_id;
  options.request_timeout = kAnswerPatience;
  options.drain_timeout = std::chrono::seconds(2);  // A person waits for the end.
  return Client(std::move(options));
}

Status DemoShop::open() {
  const Status opened = prepare();
  if (!opened) {
    const Status removed = remove();
    static_cast<void>(removed);  // What went wrong first is what the caller wants to know.
    return opened;
  }
  start("orders", [this](std::stop_token stop) { return take_orders(std::move(stop)); });
  for (std::size_t i = 1; i <= kInventoryMembers; ++i) {
    const std::string member = fmt::format("inventory-{}", i);
    start(member, [this, member](std::stop_token stop) { return keep_inventory(member, std::move(stop)); });
  }
  for (const char* const member : {"billing-1", "billing-2"}) {
    start(member, [this, member](std::stop_token stop) { return bill(member, std::move(stop)); });
  }
  start("shipping", [this](std::stop_token stop) { return ship(std::move(stop)); });
  start("analytics", [this](std::stop_token stop) { return analyse(std::move(stop)); });
  return {};
}

Status DemoShop::prepare() {
  if (const Status made = make_topics(); !made) return made.error();
  Client client = connect("orders");
  Result<Producer> orders = client.producer("orders", producer_options());
  if (!orders) return orders.error();
  Result<Producer> reminders = client.producer("reminders", producer_options());
  if (!reminders) return reminders.error();
  // The sale comes before the groups: they begin with a backlog, instead of seeing a flood come in.
  if (const Status sold = publish(*orders, *reminders, options_.backlog); !sold) return sold.error();
  return make_groups();
}

Status DemoShop::make_topics() {
  Client client = connect("demo");
  if (const Status connected = client.connect(); !connected) return connected.error();
  for (const NewShopTopic& topic : kTopics) {
    const Result<TopicDescription> made = client.admin().create_topic({.name = topic.name, .partitions = topic.partitions});
    if (!made) return made.error();
    topics_.emplace_back(topic.name);
  }
  return {};
}

Status DemoShop::make_groups() {
  Client client = connect("demo");
  const std::string objective = fmt::format("{}ms", options_.objective.count());
  for (const char* const group : {"inventory", "analytics"}) {
    const Result<GroupDescription> made =
        client.groups().create({.name = group, .topics = {"orders"}, .settings = {{"lag.objective", objective}}});
    if (!made) return made.error();
    streams_.emplace_back(group);
  }
  const NewQueue queues[] = {
      {.group = "billing",
       .topic = "orders",
       .settings = {{"ordering", "key"}, {"delivery.limit", "3"}, {"backoff", "50ms,200ms"}, {"lag.objective", objective}}},
      {.group = "shipping", .topic = "invoices", .settings = {{"max.pending", "8"}, {"lag.objective", objective}}}};
  for (const NewQueue& queue : queues) {
    const Result<QueueDescription> made = client.queues().create(queue);
    if (!made) return made.error();
    queues_.emplace_back(queue.group, queue.topic);
  }
  return {};
}

void DemoShop::start(std::string service, std::function<Status(std::stop_token)> work) {
  services_.emplace_back([this, service = std::move(service), work = std::move(work)](std::stop_token stop) {
    const Status done = work(stop);
    if (done || stop.stop_requested()) return;
    const std::lock_guard lock(mutex_);
    if (failure_) failure_ = Error{.code = done.error().code, .detail = service + ": " + done.error().detail};
  });
}

void DemoShop::close() {
  for (std::jthread& service : services_) service.request_stop();
  services_.clear();
}

Status DemoShop::remove() {
  Client client = connect("demo");
  if (const Status connected = client.connect(); !connected) return connected.error();
  Status removed;
  const auto note = [&removed](const Status& one) {
    if (!one && removed) removed = one.error();
  };
  for (const auto& [group, topic] : queues_) note(client.queues().remove(group, topic));
  for (const std::string& group : streams_) note(client.groups().remove(group));
  for (const auto& [group, topic] : queues_) {
    const Status letters = client.admin().delete_topic(group + ".dlq");
    if (!letters && letters.error().code != Errc::unknown_topic) note(letters);  // Unknown: nothing has died.
  }
  for (const std::string& topic : topics_) note(client.admin().delete_topic(topic));
  queues_.clear();
  streams_.clear();
  topics_.clear();
  return removed;
}

Status DemoShop::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool DemoShop::wait_until(SteadyPoint when, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, stop, when, [] { return false; });
  return !stop.stop_requested();
}

// --- The services.

Status DemoShop::publish(Producer& orders, Producer& reminders, std::int64_t events) {
  for (std::int64_t i = 0; i < events; ++i) {
    const auto [order, step] = event_at(next_event_++);
    const std::string key = order_key(order), value = order_event(order, step);
    const Header headers[] = {{"source", "demo"}};
    if (const Status sent = published(orders, {.key = key, .value = value, .headers = headers}); !sent) return sent.error();
    if (step == 0 && order % kOpenOrders == 0) {
      const std::string text = fmt::format(R"({{"order":"{}","text":"how was it?"}})", key);
      if (const Status sent = published(reminders, {.key = key, .value = text, .delay = kReminderDelay}); !sent) return sent.error();
    }
  }
  published_ += events;
  return orders.flush();
}

Status DemoShop::take_orders(std::stop_token stop) {
  Client client = connect("orders");
  Result<Producer> orders = client.producer("orders", producer_options());
  if (!orders) return orders.error();
  Result<Producer> reminders = client.producer("reminders", producer_options());
  if (!reminders) return reminders.error();
  const auto pause = std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(1 / options_.rate));
  SteadyPoint next = std::chrono::steady_clock::now();
  while (wait_until(next, stop)) {
    const bool worked_off = published_ - moved_ < options_.backlog / 10;
    if (const Status sent = publish(*orders, *reminders, worked_off ? options_.backlog : 1); !sent) return sent.error();
    next = std::max(next + pause, std::chrono::steady_clock::now() - std::chrono::seconds(1));
  }
  return {};
}

Status DemoShop::keep_inventory(const std::string& member, std::stop_token stop) {
  Client client = connect(member);
  Result<Producer> moves = client.producer("stock-moves", producer_options());
  if (!moves) return moves.error();
  StreamOptions options{.group = "inventory", .topics = {"orders"}};
  options.commit_every = std::chrono::milliseconds(500);
  Result<StreamConsumer> consumer = client.stream_consumer(options);
  if (!consumer) return consumer.error();
  const auto pause = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(kInventoryMembers / (2 * options_.rate)));
  SteadyPoint next = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    const Result<std::vector<Message>> messages = consumer->poll(kPatience, 10);
    if (!messages) return messages.error();
    for (const Message& message : *messages) {
      next = std::max(next + pause, std::chrono::steady_clock::now() - std::chrono::milliseconds(100));
      if (!wait_until(next, stop)) break;
      // Done before the move is durable: a demo may lose one at its end.
      if (const Status sent = published(*moves, {.key = message.key(), .value = message.value()}); !sent) return sent.error();
      consumer->done(message);
      ++moved_;
    }
  }
  return consumer->close();
}

Status DemoShop::bill(const std::string& member, std::stop_token stop) {
  Client client = connect(member);
  Result<Producer> invoices = client.producer("invoices", producer_options());
  if (!invoices) return invoices.error();
  QueueOptions options{.group = "billing", .topic = "orders", .member = member, .create = false};
  Result<QueueConsumer> consumer = client.queue_consumer(options);
  if (!consumer) return consumer.error();
  const auto bill_one = [&invoices](const QueueMessage& message) {
    const std::string fault = billing_fault(message.key().value_or(""));
    if (!fault.empty()) throw std::runtime_error(fault);
    const Result<Stored> stored = invoices->send({.key = message.key(), .value = message.value()});
    if (!stored) throw std::runtime_error(stored.error().to_string());
  };
  const Result<QueueRun> run = consumer->run(bill_one, kBillingThreads, stop);
  if (!run) return run.error();
  return consumer->close();
}

/// Ships some, and hangs with all it may have: it takes records without ever settling them, and keeps their leases.
Status DemoShop::ship(std::stop_token stop) {
  Client client = connect("shipping-1");
  QueueOptions options{.group = "shipping", .topic = "invoices", .member = "shipping-1", .create = false, .prefetch = 0};
  Result<QueueConsumer> consumer = client.queue_consumer(options);
  if (!consumer) return consumer.error();
  QueueConsumer::Messages held;
  for (std::size_t shipped = 0; !stop.stop_requested();) {
    Result<QueueConsumer::Messages> messages = consumer->receive(10, kPatience);
    if (!messages) return messages.error();
    if (shipped >= kShippedBeforeTheHang) {
      std::ranges::move(*messages, std::back_inserter(held));
      continue;
    }
    const Result<SettleReport> settled = consumer->settle(*messages);
    if (!settled) return settled.error();
    shipped += settled->settled;
  }
  return consumer->close();
}

/// Reads the beginning of each partition, and leaves for good.
Status DemoShop::analyse(std::stop_token stop) {
  Client client = connect("analytics-1");
  Result<StreamConsumer> consumer = client.stream_consumer({.group = "analytics", .topics = {"orders"}});
  if (!consumer) return consumer.error();
  std::map<std::int32_t, std::size_t> read;
  const auto finished = [&read] {
    return read.size() == static_cast<std::size_t>(kTopics[0].partitions) &&
           std::ranges::all_of(read, [](const auto& partition) { return partition.second >= kAnalysedOfEachPartition; });
  };
  while (!finished() && !stop.stop_requested()) {
    const Result<std::vector<Message>> messages = consumer->poll(kPatience, 10);
    if (!messages) return messages.error();
    consumer->done(*messages);
    for (const Message& message : *messages) {
      if (++read[message.partition()] != kAnalysedOfEachPartition) continue;
      const TopicPartition enough[] = {{std::string(message.topic()), message.partition()}};
      if (const Status paused = consumer->pause(enough); !paused) return paused.error();
    }
  }
  return consumer->close();
}

}  // namespace tidemark::tools
