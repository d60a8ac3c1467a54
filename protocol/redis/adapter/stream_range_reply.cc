#include "protocol/redis/adapter/stream_range_reply.h"

#include <memory>
#include <utility>

#include "protocol/redis/adapter/steps.h"
#include "protocol/redis/adapter/stream_id.h"

namespace tidemark::redis {
namespace {

/// A read of a range under way.
struct RangeRead : std::enable_shared_from_this<RangeRead> {
  RangeRead(const Call& call_in, broker::TopicPartition where_in, broker::EntryRange range_in,
            std::function<void(Result<RangeReply>)> done_in)
      : call(call_in), where(std::move(where_in)), range(range_in), done(std::move(done_in)), reply(call.protocol()) {}

  void run() {
    steps.run([this] {
      if (ended) return false;
      call.broker().entries().read(call.context(), where, range, [self = shared_from_this()](const Result<broker::EntryBatch>& page) {
        self->take(page);
        if (self->steps.ended() && !self->ended) self->run();
      });
      return true;
    });
  }

  void end(Result<RangeReply> result) {
    ended = true;
    done(std::move(result));
  }

  void take(const Result<broker::EntryBatch>& page) {
    if (!page) return end(page.error());
    for (const broker::Entry& entry : page->entries) write_entry(reply, entry);
    count += page->entries.size();
    range.count_max -= std::min(range.count_max, page->entries.size());
    if (reply.size() > kRangeReplyBytesMax) {
      return end(Error{Errc::invalid_argument, "the reply would take more than " + std::to_string(kRangeReplyBytesMax >> 20) +
                                                   " MiB; ask for less of it with COUNT"});
    }
    const std::optional<broker::EntryId> on = range.backwards ? before(page->resume_at) : after(page->resume_at);
    if (!page->more || range.count_max == 0 || !on) return end(RangeReply{count, std::move(reply).take()});
    (range.backwards ? range.last : range.first) = *on;
  }

  const Call call;
  const broker::TopicPartition where;
  broker::EntryRange range;
  const std::function<void(Result<RangeReply>)> done;
  RespWriter reply;
  std::size_t count = 0;
  bool ended = false;
  Steps steps;
};

}  // namespace

void write_entry(RespWriter& reply, const broker::Entry& entry) {
  reply.array(2);
  write_entry_parts(reply, entry);
}

void write_entry_parts(RespWriter& reply, const broker::Entry& entry) {
  reply.bulk(to_text(entry.id));
  reply.array(entry.fields.size() * 2);
  for (const broker::EntryField& field : entry.fields) {
    reply.bulk(field.name);
    reply.bulk(field.value);
  }
}

void read_range(const Call& call, broker::TopicPartition where, broker::EntryRange range, std::function<void(Result<RangeReply>)> done) {
  std::make_shared<RangeRead>(call, std::move(where), range, std::move(done))->run();
}

}  // namespace tidemark::redis
