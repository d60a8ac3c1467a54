#include "tidemark/queue_consumer.h"

#include <utility>

#include "client/src/queue_consumer_core.h"

namespace tidemark {

using detail::Done;

Result<QueueConsumer::Messages> QueueConsumer::receive(std::size_t max, std::chrono::milliseconds wait) {
  return core_->receive(max, wait);
}

Status QueueConsumer::settle(const QueueMessage& message, Settlement how) {
  return core_->client().block<void>([&](Done<void> done) { core_->settle(message, how, std::move(done)); });
}

Result<SettleReport> QueueConsumer::settle(std::span<const QueueMessage> messages, Settlement how) {
  return core_->client().block<SettleReport>([&](Done<SettleReport> done) { core_->settle(messages, how, std::move(done)); });
}

Status QueueConsumer::extend(const QueueMessage& message, std::chrono::milliseconds lease) {
  return core_->client().block<void>([&](Done<void> done) { core_->extend(message, lease, std::move(done)); });
}

const std::string& QueueConsumer::member() const { return core_->member(); }

Status QueueConsumer::close() {
  if (core_->client().inside_callback()) {
    core_->close([](const Status&) {});  // Nobody is left to be told how it went.
    return {};
  }
  return core_->client().block<void>([&](Done<void> done) { core_->close(std::move(done)); });
}

void QueueConsumer::start_receive(const Core& core, std::size_t max, Completion<Messages> done) {
  core->async_receive(max, nullptr, detail::Pending<Messages>::make(std::move(done), core->client().executor()));
}

void QueueConsumer::start_settle(const Core& core, QueueMessage message, Settlement how, Completion<void> done) {
  core->settle(message, how, detail::as_done(std::move(done), core->client().executor()));
}

void QueueConsumer::start_settle_all(const Core& core, const Messages& messages, const Settlement& how, Completion<SettleReport> done) {
  core->settle(messages, how, detail::as_done(std::move(done), core->client().executor()));
}

void QueueConsumer::start_extend(const Core& core, const QueueMessage& message, std::chrono::milliseconds lease, Completion<void> done) {
  core->extend(message, lease, detail::as_done(std::move(done), core->client().executor()));
}

void QueueConsumer::start_close(const Core& core, Completion<void> done) {
  core->close(detail::as_done(std::move(done), core->client().executor()));
}

}  // namespace tidemark
