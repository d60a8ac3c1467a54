#include "client/src/lookup.h"

#include <algorithm>
#include <utility>

#include "client/src/wire.h"
#include "client/src/wire_values.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

void find_time(Connection& connection, const std::string& topic, std::int32_t partition, Timestamp time, Done<FoundOffset> done) {
  wire::FindOffset find;
  find.set_topic(topic);
  find.set_partition(partition);
  find.set_query(wire::FindOffset::TIMESTAMP);
  find.set_timestamp_ms(time.time_since_epoch().count());
  call<wire::FindOffsetReply>(connection, native::FrameType::find_offset, find, OnLoss::repeat,
                              [done = std::move(done)](Result<wire::FindOffsetReply> reply) mutable {
                                if (!reply) return done(std::move(reply).error());
                                FoundOffset found{.offset = Offset{reply->offset()}, .timestamp = {}, .found = reply->found()};
                                if (reply->found()) found.timestamp = Timestamp(std::chrono::milliseconds(reply->timestamp_ms()));
                                done(std::move(found));
                              });
}

}  // namespace

void describe_topic(Connection& connection, std::string name, Done<TopicDescription> done) {
  wire::DescribeTopic describe;
  describe.set_name(std::move(name));
  call<wire::TopicInfo>(connection, native::FrameType::describe_topic, describe, OnLoss::repeat,
                        [done = std::move(done)](Result<wire::TopicInfo> reply) mutable {
                          if (!reply) return done(std::move(reply).error());
                          done(topic_from_wire(*reply));
                        });
}

void resolve_position(Connection& connection, const std::string& topic, const PartitionDescription& where, const Position& position,
                      bool must_exist, Done<FoundOffset> done) {
  const Offset start = where.log_start;
  const Offset end = where.high_watermark;
  const std::int64_t length = end - start;
  switch (position.kind) {
    case Position::Kind::earliest:
      return done(FoundOffset{.offset = start});
    case Position::Kind::latest:
      return done(FoundOffset{.offset = end});
    case Position::Kind::after_start:
      return done(FoundOffset{.offset = start + std::min(position.count, length)});
    case Position::Kind::before_end:
      return done(FoundOffset{.offset = end - std::min(position.count, length)});
    case Position::Kind::offset: {
      const Offset offset{position.count};
      if (!must_exist || (start <= offset && offset <= end)) return done(FoundOffset{.offset = offset});
      return done(Error{Errc::offset_out_of_range, topic + ":" + std::to_string(where.partition) + ": " + std::to_string(position.count) +
                                                       " is outside " + std::to_string(start.value) + " to " + std::to_string(end.value)});
    }
    case Position::Kind::committed:
      return done(Error{Errc::invalid_argument, "the position \"committed\" needs a group, and here is none"});
    case Position::Kind::time:
      return find_time(connection, topic, where.partition, position.time, std::move(done));
    case Position::Kind::ago: {
      const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
      return find_time(connection, topic, where.partition, now - position.duration, std::move(done));
    }
  }
}

}  // namespace tidemark::detail
