#include "tidemark/client.h"

#include <algorithm>
#include <utility>

#include "client/src/client_core.h"
#include "client/src/lookup.h"
#include "client/src/producer_core.h"
#include "client/src/queue_consumer_core.h"
#include "client/src/reader_core.h"
#include "client/src/stream_consumer_core.h"
#include "client/src/transaction_core.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark {
namespace {

using detail::ClientCore;
using detail::Done;
using detail::OnLoss;
using detail::ReadRange;

constexpr std::size_t kSubscriptionsMax = 256;  ///< Of one connection, by the protocol.

// --- Producers.

using ProducerPtr = std::shared_ptr<detail::ProducerCore>;

void make_producer(const std::shared_ptr<ClientCore>& core, std::string topic, ProducerOptions options, detail::TopicFacts facts,
                   Done<ProducerPtr> done) {
  auto make = [core, topic = std::move(topic), options, facts, done = std::move(done)](Result<detail::Identity> identity) mutable {
    if (!identity) return done(std::move(identity).error());
    auto producer = std::make_shared<detail::ProducerCore>(core, std::move(topic), std::move(options), facts, *identity);
    core->add(producer);
    core->connection()->add_listener(producer);
    if (core->connection()->is_shut_down()) producer->shutdown();  // Closed while we asked: it must not wait for answers.
    done(std::move(producer));
  };
  if (!options.idempotent) return make(detail::Identity{});
  detail::call<wire::InitProducerReply>(
      *core->connection(), native::FrameType::init_producer, wire::InitProducer(), OnLoss::repeat,
      [make = std::move(make)](Result<wire::InitProducerReply> reply) mutable {
        if (!reply) return make(std::move(reply).error());
        make(detail::Identity{.id = reply->producer_id(), .epoch = static_cast<std::int16_t>(reply->producer_epoch())});
      });
}

void open_producer(const std::shared_ptr<ClientCore>& core, std::string topic, ProducerOptions options, Done<ProducerPtr> done) {
  if (const Status sound = detail::ProducerCore::check(options); !sound) return done(sound.error());
  wire::DescribeTopic describe;
  describe.set_name(topic);
  auto found = [core, topic = std::move(topic), options = std::move(options),
                done = std::move(done)](Result<wire::TopicInfo> info) mutable {
    if (!info) return done(std::move(info).error());
    make_producer(core, std::move(topic), std::move(options), detail::TopicFacts::from(*info), std::move(done));
  };
  detail::call<wire::TopicInfo>(*core->connection(), native::FrameType::describe_topic, describe, OnLoss::repeat, std::move(found));
}

// --- Readers.

using ReaderPtr = std::shared_ptr<detail::ReaderCore>;

/// Resolves both ends of every partition, one question after another, then makes the reader.
class ReaderOpening : public std::enable_shared_from_this<ReaderOpening> {
 public:
  ReaderOpening(std::shared_ptr<ClientCore> core, std::string topic, ReaderOptions options, Done<ReaderPtr> done)
      : core_(std::move(core)), topic_(std::move(topic)), options_(std::move(options)), done_(std::move(done)) {}

  void start() {
    detail::describe_topic(*core_->connection(), topic_, [self = shared_from_this()](Result<TopicDescription> topic) {
      if (!topic) return self->done_(std::move(topic).error());
      const Status chosen = self->choose(*std::move(topic));
      if (!chosen) return self->done_(chosen.error());
      self->resolve_from(0);
    });
  }

 private:
  Status choose(TopicDescription topic) {
    std::vector<std::int32_t>& wanted = options_.partitions;
    std::ranges::sort(wanted);
    wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
    for (PartitionDescription& partition : topic.partition_list) {
      if (wanted.empty() || std::ranges::binary_search(wanted, partition.partition)) partitions_.push_back(std::move(partition));
    }
    if (!wanted.empty() && partitions_.size() < wanted.size()) {
      return Error{Errc::unknown_partition, topic_ + " has partitions 0 to " + std::to_string(topic.partitions - 1)};
    }
    if (partitions_.size() > kSubscriptionsMax) {
      return Error{Errc::invalid_argument,
                   "a reader takes at most " + std::to_string(kSubscriptionsMax) + " partitions; name some of " + topic_};
    }
    return {};
  }

  void resolve_from(std::size_t index) {
    if (index == partitions_.size()) return finish();
    detail::resolve_position(
        *core_->connection(), topic_, partitions_[index], options_.from, true,
        [self = shared_from_this(), index](Result<FoundOffset> from) {
          if (!from) return self->done_(std::move(from).error());
          self->ranges_.push_back(ReadRange{.partition = self->partitions_[index].partition, .from = from->offset, .to = {}});
          self->resolve_to(index);
        });
  }

  void resolve_to(std::size_t index) {
    if (!options_.to) return resolve_from(index + 1);
    detail::resolve_position(*core_->connection(), topic_, partitions_[index], *options_.to, false,
                             [self = shared_from_this(), index](Result<FoundOffset> to) {
                               if (!to) return self->done_(std::move(to).error());
                               self->ranges_.back().to = to->offset;
                               self->resolve_from(index + 1);
                             });
  }

  void finish() {
    auto reader = std::make_shared<detail::ReaderCore>(core_, topic_, options_.buffer_bytes, ranges_);
    reader->start();
    if (core_->connection()->is_shut_down()) reader->shutdown();
    done_(std::move(reader));
  }

  const std::shared_ptr<ClientCore> core_;
  const std::string topic_;
  ReaderOptions options_;
  Done<ReaderPtr> done_;
  std::vector<PartitionDescription> partitions_;
  std::vector<ReadRange> ranges_;
};

void open_reader(const std::shared_ptr<ClientCore>& core, std::string topic, ReaderOptions options, Done<ReaderPtr> done) {
  std::make_shared<ReaderOpening>(core, std::move(topic), std::move(options), std::move(done))->start();
}

// --- Stream consumers.

using ConsumerPtr = std::shared_ptr<detail::StreamConsumerCore>;

/// Answers what handles share: when the last of them goes, the consumer closes by itself.
void open_stream_consumer(const std::shared_ptr<ClientCore>& core, StreamOptions options, Done<ConsumerPtr> done) {
  if (const Status sound = detail::StreamConsumerCore::check(options); !sound) return done(sound.error());
  const auto consumer = std::make_shared<detail::StreamConsumerCore>(core, std::move(options));
  consumer->open([consumer, done = std::move(done)](const Status& opened) mutable {
    if (!opened) return done(opened.error());
    const auto close = [consumer](detail::StreamConsumerCore* last) { last->close([consumer](const Status&) {}); };
    done(ConsumerPtr(consumer.get(), close));
  });
}

// --- Transactional producers.

using TransactionPtr = std::shared_ptr<detail::TransactionCore>;

void open_transactional_producer(const std::shared_ptr<ClientCore>& core, TransactionalOptions options, Done<TransactionPtr> done) {
  if (const Status sound = detail::TransactionCore::check(options); !sound) return done(sound.error());
  const auto producer = std::make_shared<detail::TransactionCore>(core, std::move(options));
  producer->open([producer, done = std::move(done)](const Status& opened) mutable {
    if (!opened) return done(opened.error());
    const auto close = [producer](detail::TransactionCore* last) { last->close([producer](const Status&) {}); };
    done(TransactionPtr(producer.get(), close));
  });
}

// --- Queue consumers.

using QueueConsumerPtr = std::shared_ptr<detail::QueueConsumerCore>;

void open_queue_consumer(const std::shared_ptr<ClientCore>& core, QueueOptions options, Done<QueueConsumerPtr> done) {
  if (const Status sound = detail::QueueConsumerCore::check(options); !sound) return done(sound.error());
  const auto consumer = std::make_shared<detail::QueueConsumerCore>(core, std::move(options));
  consumer->open([consumer, done = std::move(done)](const Status& opened) mutable {
    if (!opened) return done(opened.error());
    const auto close = [consumer](detail::QueueConsumerCore* last) { last->close([consumer](const Status&) {}); };
    done(QueueConsumerPtr(consumer.get(), close));
  });
}

/// `close()` for an Asio client: drain first, then everything else at once.
void close_gently(const std::shared_ptr<ClientCore>& core, Done<void> done) {
  core->drain([core, done = std::move(done)](const Status& drained) mutable {
    asio::post(core->executor(), [core, done = std::move(done), drained]() mutable {
      core->shutdown();
      done(drained);
    });
  });
}

}  // namespace

Client::Client(ClientOptions options) : core_(ClientCore::create(std::move(options))) {}

Client::Client(asio::any_io_executor executor, ClientOptions options)
    : core_(ClientCore::create(std::move(executor), std::move(options))) {}

Client::Client(Client&&) noexcept = default;

Client& Client::operator=(Client&& other) noexcept {
  if (this != &other) {
    close();
    core_ = std::move(other.core_);
  }
  return *this;
}

Client::~Client() { close(); }

void Client::close() {
  if (core_ != nullptr) core_->close();
}

Status Client::connect() {
  return core_->block<void>([&](Done<void> done) { core_->connection()->connect(std::move(done)); });
}

Result<Producer> Client::producer(std::string topic, ProducerOptions options) {
  Result<ProducerPtr> made = core_->block<ProducerPtr>(
      [&](Done<ProducerPtr> done) { open_producer(core_, std::move(topic), std::move(options), std::move(done)); });
  if (!made) return std::move(made).error();
  return Producer(*std::move(made));
}

Result<Reader> Client::reader(std::string topic, ReaderOptions options) {
  Result<ReaderPtr> made =
      core_->block<ReaderPtr>([&](Done<ReaderPtr> done) { open_reader(core_, std::move(topic), std::move(options), std::move(done)); });
  if (!made) return std::move(made).error();
  return Reader(*std::move(made));
}

Result<StreamConsumer> Client::stream_consumer(StreamOptions options) {
  Result<ConsumerPtr> made =
      core_->block<ConsumerPtr>([&](Done<ConsumerPtr> done) { open_stream_consumer(core_, std::move(options), std::move(done)); });
  if (!made) return std::move(made).error();
  return StreamConsumer(*std::move(made));
}

Result<TransactionalProducer> Client::transactional_producer(TransactionalOptions options) {
  Result<TransactionPtr> made = core_->block<TransactionPtr>(
      [&](Done<TransactionPtr> done) { open_transactional_producer(core_, std::move(options), std::move(done)); });
  if (!made) return std::move(made).error();
  return TransactionalProducer(*std::move(made));
}

Result<QueueConsumer> Client::queue_consumer(QueueOptions options) {
  Result<QueueConsumerPtr> made =
      core_->block<QueueConsumerPtr>([&](Done<QueueConsumerPtr> done) { open_queue_consumer(core_, std::move(options), std::move(done)); });
  if (!made) return std::move(made).error();
  return QueueConsumer(*std::move(made));
}

Admin Client::admin() { return Admin(core_); }

GroupAdmin Client::groups() { return GroupAdmin(core_); }

QueueAdmin Client::queues() { return QueueAdmin(core_); }

void Client::start_connect(const Core& core, Completion<void> done) {
  core->connection()->connect(detail::as_done(std::move(done), core->executor()));
}

void Client::start_producer(const Core& core, std::string topic, ProducerOptions options, Completion<Producer> done) {
  open_producer(core, std::move(topic), std::move(options),
                [answer = detail::as_done(std::move(done), core->executor())](Result<ProducerPtr> made) mutable {
                  if (!made) return answer(std::move(made).error());
                  answer(Producer(*std::move(made)));
                });
}

void Client::start_reader(const Core& core, std::string topic, ReaderOptions options, Completion<Reader> done) {
  open_reader(core, std::move(topic), std::move(options),
              [answer = detail::as_done(std::move(done), core->executor())](Result<ReaderPtr> made) mutable {
                if (!made) return answer(std::move(made).error());
                answer(Reader(*std::move(made)));
              });
}

void Client::start_stream_consumer(const Core& core, StreamOptions options, Completion<StreamConsumer> done) {
  open_stream_consumer(core, std::move(options),
                       [answer = detail::as_done(std::move(done), core->executor())](Result<ConsumerPtr> made) mutable {
                         if (!made) return answer(std::move(made).error());
                         answer(StreamConsumer(*std::move(made)));
                       });
}

void Client::start_transactional_producer(const Core& core, TransactionalOptions options, Completion<TransactionalProducer> done) {
  open_transactional_producer(core, std::move(options),
                              [answer = detail::as_done(std::move(done), core->executor())](Result<TransactionPtr> made) mutable {
                                if (!made) return answer(std::move(made).error());
                                answer(TransactionalProducer(*std::move(made)));
                              });
}

void Client::start_queue_consumer(const Core& core, QueueOptions options, Completion<QueueConsumer> done) {
  open_queue_consumer(core, std::move(options),
                      [answer = detail::as_done(std::move(done), core->executor())](Result<QueueConsumerPtr> made) mutable {
                        if (!made) return answer(std::move(made).error());
                        answer(QueueConsumer(*std::move(made)));
                      });
}

void Client::start_close(const Core& core, Completion<void> done) {
  close_gently(core, detail::as_done(std::move(done), core->executor()));
}

}  // namespace tidemark
