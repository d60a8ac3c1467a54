#include "tidemark/reader.h"

#include <utility>

#include "client/src/reader_core.h"

namespace tidemark {

Result<std::optional<Message>> Reader::next(std::chrono::milliseconds wait) { return core_->next(wait); }

bool Reader::finished() const { return core_->finished(); }

std::optional<Offset> Reader::position(std::int32_t partition) const { return core_->position(partition); }

std::vector<std::int32_t> Reader::partitions() const { return core_->partitions(); }

void Reader::close() { core_->shutdown(); }

void Reader::start_next(const std::shared_ptr<detail::ReaderCore>& core, Completion<std::optional<Message>> done) {
  core->async_next(detail::Pending<std::optional<Message>>::make(std::move(done), core->client().executor()));
}

}  // namespace tidemark
