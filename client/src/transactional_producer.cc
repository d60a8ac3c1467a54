#include "tidemark/transactional_producer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "client/src/stream_consumer_core.h"
#include "client/src/transaction_core.h"

namespace tidemark {
namespace {

using detail::Done;
using detail::GivenMessages;

/// By partition.
std::vector<GivenMessages> stretches_of(std::span<const Message> messages) {
  std::vector<GivenMessages> stretches;
  for (const Message& message : messages) {
    const auto same = std::ranges::find_if(stretches, [&](const GivenMessages& known) {
      return known.where.partition == message.partition() && known.where.topic == message.topic();
    });
    if (same == stretches.end()) {
      stretches.push_back({{std::string(message.topic()), message.partition()}, message.offset(), message.offset() + 1});
    } else {
      same->first = std::min(same->first, message.offset());
      same->next = std::max(same->next, message.offset() + 1);
    }
  }
  return stretches;
}

}  // namespace

Status TransactionalProducer::begin() {
  return core_->client().block<void>([&](Done<void> done) { core_->begin(std::move(done)); });
}

Status TransactionalProducer::send(std::string_view topic, const Record& record, SendCallback done) {
  if (std::optional<Status> taken = core_->try_send(topic, record, done)) return *std::move(taken);
  return core_->client().block<void>(
      [&](Done<void> accepted) { core_->send(std::string(topic), record, std::move(done), std::move(accepted)); });
}

Status TransactionalProducer::commit_offsets(const StreamConsumer& consumer, std::span<const Message> messages) {
  return core_->client().block<void>(
      [&](Done<void> done) { core_->commit_offsets(consumer.core_, stretches_of(messages), std::move(done)); });
}

Status TransactionalProducer::commit_offsets(const StreamConsumer& consumer) {
  return core_->client().block<void>([&](Done<void> done) { core_->commit_offsets(consumer.core_, std::nullopt, std::move(done)); });
}

Status TransactionalProducer::commit() {
  return core_->client().block<void>([&](Done<void> done) { core_->commit(std::move(done)); });
}

Status TransactionalProducer::abort() {
  return core_->client().block<void>([&](Done<void> done) { core_->abort(std::move(done)); });
}

Status TransactionalProducer::close() {
  return core_->client().block<void>([&](Done<void> done) { core_->close(std::move(done)); });
}

const std::string& TransactionalProducer::id() const { return core_->id(); }

void TransactionalProducer::start_begin(const Core& core, Completion<void> done) {
  core->begin(detail::as_done(std::move(done), core->client().executor()));
}

void TransactionalProducer::start_send(const Core& core, const std::string& topic, const Record& record, Completion<void> done) {
  core->send(topic, record, {}, detail::as_done(std::move(done), core->client().executor()));
}

void TransactionalProducer::start_commit_offsets(const Core& core, const StreamConsumer& consumer, std::span<const Message> messages,
                                                 Completion<void> done) {
  core->commit_offsets(consumer.core_, stretches_of(messages), detail::as_done(std::move(done), core->client().executor()));
}

void TransactionalProducer::start_commit(const Core& core, Completion<void> done) {
  core->commit(detail::as_done(std::move(done), core->client().executor()));
}

void TransactionalProducer::start_abort(const Core& core, Completion<void> done) {
  core->abort(detail::as_done(std::move(done), core->client().executor()));
}

void TransactionalProducer::start_close(const Core& core, Completion<void> done) {
  core->close(detail::as_done(std::move(done), core->client().executor()));
}

}  // namespace tidemark
