#include "tidemark/producer.h"

#include <utility>

#include "client/src/producer_core.h"

namespace tidemark {
namespace {

/// Runs a move-only answer from a callback, which has to be copyable.
template <class T>
std::function<void(const Result<T>&)> once(detail::Done<T> done) {
  auto shared = std::make_shared<detail::Done<T>>(std::move(done));
  return [shared](const Result<T>& result) { (*shared)(result); };
}

}  // namespace

Result<Stored> Producer::send(const Record& record) {
  return core_->client().block<Stored>([&](detail::Done<Stored> done) { core_->send(record, once<Stored>(std::move(done))); });
}

bool Producer::try_post(const Record& record, SendCallback done) { return core_->try_post(record, std::move(done)); }

Status Producer::flush() {
  return core_->client().block<void>([&](detail::Done<void> done) { core_->flush(std::move(done)); });
}

Status Producer::close() {
  return core_->client().block<void>([&](detail::Done<void> done) { core_->close(std::move(done)); });
}

std::size_t Producer::buffered_bytes() const { return core_->buffered_bytes(); }

const std::string& Producer::topic() const { return core_->topic(); }

std::int32_t Producer::partitions() const { return core_->partitions(); }

void Producer::start_send(const std::shared_ptr<detail::ProducerCore>& core, const Record& record, Completion<Stored> done) {
  auto pending = detail::Pending<Stored>::make(std::move(done), core->client().executor());
  core->send(record, [pending = std::move(pending)](const Result<Stored>& stored) { pending->complete(stored); });
}

void Producer::start_flush(const std::shared_ptr<detail::ProducerCore>& core, Completion<void> done) {
  core->flush(detail::as_done(std::move(done), core->client().executor()));
}

void Producer::start_close(const std::shared_ptr<detail::ProducerCore>& core, Completion<void> done) {
  core->close(detail::as_done(std::move(done), core->client().executor()));
}

}  // namespace tidemark
