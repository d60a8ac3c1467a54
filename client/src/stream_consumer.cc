#include "tidemark/stream_consumer.h"

#include <utility>

#include "client/src/stream_consumer_core.h"

namespace tidemark {

using detail::Done;

Result<StreamConsumer::Messages> StreamConsumer::poll(std::chrono::milliseconds wait, std::size_t max) { return core_->poll(wait, max); }

void StreamConsumer::done(const Message& message) { core_->finish(std::span(&message, 1)); }

void StreamConsumer::done(std::span<const Message> messages) { core_->finish(messages); }

Status StreamConsumer::commit() {
  return core_->client().block<void>([&](Done<void> done) { core_->commit(std::move(done)); });
}

Status StreamConsumer::commit(const TopicPartition& where, Offset next) {
  return core_->client().block<void>([&](Done<void> done) { core_->commit(where, next, std::move(done)); });
}

Status StreamConsumer::seek(const TopicPartition& where, const Position& position) {
  return core_->client().block<void>([&](Done<void> done) { core_->seek(where, position, std::move(done)); });
}

Status StreamConsumer::pause(std::span<const TopicPartition> partitions) { return core_->pause(partitions, true); }

Status StreamConsumer::resume(std::span<const TopicPartition> partitions) { return core_->pause(partitions, false); }

TopicPartitions StreamConsumer::assignment() const { return core_->assignment(); }

std::optional<Offset> StreamConsumer::position(const TopicPartition& where) const { return core_->position(where); }

Result<std::int64_t> StreamConsumer::lag() {
  return core_->client().block<std::int64_t>([&](Done<std::int64_t> done) { core_->lag(std::move(done)); });
}

Result<StreamConsumer::LagTime> StreamConsumer::lag_time() {
  return core_->client().block<LagTime>([&](Done<LagTime> done) { core_->lag_time(std::move(done)); });
}

Status StreamConsumer::close() {
  if (core_->client().inside_callback()) {
    core_->close([](const Status&) {});  // Nobody is left to be told how the commit went.
    return {};
  }
  return core_->client().block<void>([&](Done<void> done) { core_->close(std::move(done)); });
}

void StreamConsumer::start_poll(const Core& core, std::size_t max, Completion<Messages> done) {
  core->async_poll(max, detail::Pending<Messages>::make(std::move(done), core->client().executor()));
}

void StreamConsumer::start_commit(const Core& core, Completion<void> done) {
  core->commit(detail::as_done(std::move(done), core->client().executor()));
}

void StreamConsumer::start_commit_at(const Core& core, TopicPartition where, Offset next, Completion<void> done) {
  core->commit(where, next, detail::as_done(std::move(done), core->client().executor()));
}

void StreamConsumer::start_seek(const Core& core, TopicPartition where, const Position& position, Completion<void> done) {
  core->seek(where, position, detail::as_done(std::move(done), core->client().executor()));
}

void StreamConsumer::start_lag(const Core& core, Completion<std::int64_t> done) {
  core->lag(detail::as_done(std::move(done), core->client().executor()));
}

void StreamConsumer::start_lag_time(const Core& core, Completion<LagTime> done) {
  core->lag_time(detail::as_done(std::move(done), core->client().executor()));
}

void StreamConsumer::start_close(const Core& core, Completion<void> done) {
  core->close(detail::as_done(std::move(done), core->client().executor()));
}

}  // namespace tidemark
