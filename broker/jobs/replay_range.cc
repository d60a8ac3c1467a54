#include "broker/jobs/replay_range.h"

#include <algorithm>
#include <string>

namespace tidemark::broker {
namespace {

struct Resolving {
  std::shared_ptr<const Topic> source;
  ReplayPosition from;
  ReplayPosition to;
  std::vector<ReplayProgress> ranges;
  std::optional<Error> error;
  std::size_t left = 1;
  Done<std::vector<ReplayProgress>> done;

  void one_less() {
    if (--left > 0) return;
    if (error) return done(*std::move(error));
    for (ReplayProgress& range : ranges) {
      range.to = std::max(range.from, range.to);
      range.next = range.from;
    }
    done(std::move(ranges));
  }
  void fail(Error failure) {
    if (!error) error = std::move(failure);
    one_less();
  }
};

/// Where the position is, without looking into the log; nullopt for a time.
Result<std::optional<Offset>> place(const Topic& topic, const ReplayPosition& position, const PartitionInfo& info) {
  const Offset start = info.log_start;
  const Offset end = info.last_stable;
  switch (position.kind) {
    case ReplayPosition::Kind::earliest:
      return std::optional(start);
    case ReplayPosition::Kind::latest:
      return std::optional(end);
    case ReplayPosition::Kind::after_start:
      return std::optional(start + std::clamp<std::int64_t>(position.value, 0, end - start));
    case ReplayPosition::Kind::before_end:
      return std::optional(end - std::clamp<std::int64_t>(position.value, 0, end - start));
    case ReplayPosition::Kind::offset:
      if (Offset{position.value} >= start && Offset{position.value} <= end) return std::optional(Offset{position.value});
      return Error{Errc::offset_out_of_range, topic.name + ":" + std::to_string(info.partition) + " holds offsets " +
                                                  std::to_string(start.value) + ".." + std::to_string(end.value) + ", not " +
                                                  std::to_string(position.value)};
    case ReplayPosition::Kind::timestamp_ms:
      return std::optional<Offset>();
  }
  return Error{Errc::invalid_argument, "a position of an unknown kind"};
}

void resolve_one(const JobServices& services, const std::shared_ptr<Resolving>& all, const PartitionInfo& info,
                 const ReplayPosition& position, Offset ReplayProgress::*where) {
  ReplayProgress& range = all->ranges[static_cast<std::size_t>(info.partition)];
  const Result<std::optional<Offset>> known = place(*all->source, position, info);
  if (!known) return all->fail(known.error());
  if (*known) {
    range.*where = **known;
    return all->one_less();
  }
  services.partitions.call<OffsetAt>(
      {all->source->id, info.partition}, all->source->name,
      [all, &range, where](Result<OffsetAt> found) {
        if (!found) return all->fail(std::move(found).error());
        range.*where = found->offset;
        all->one_less();
      },
      [time = position.value](Partition& partition, Done<OffsetAt> answer) {
        partition.find_offset(OffsetQuery::timestamp, time, std::move(answer));
      });
}

}  // namespace

void resolve_replay_ranges(const JobServices& services, std::shared_ptr<const Topic> source, ReplayPosition from, ReplayPosition to,
                           Done<std::vector<ReplayProgress>> done) {
  auto all = std::make_shared<Resolving>();
  all->source = std::move(source);
  all->from = from;
  all->to = to;
  all->done = std::move(done);
  all->ranges.resize(static_cast<std::size_t>(all->source->partitions));
  all->left += 2 * all->ranges.size();
  for (std::int32_t p = 0; p < all->source->partitions; ++p) {
    all->ranges[static_cast<std::size_t>(p)].partition = p;
    services.partitions.call<PartitionInfo>(
        {all->source->id, p}, all->source->name,
        [&services, all](Result<PartitionInfo> info) {
          if (!info) {
            all->one_less();
            return all->fail(std::move(info).error());
          }
          resolve_one(services, all, *info, all->from, &ReplayProgress::from);
          resolve_one(services, all, *info, all->to, &ReplayProgress::to);
        },
        [](Partition& partition, Done<PartitionInfo> answer) { answer(partition.describe()); });
  }
  all->one_less();
}

}  // namespace tidemark::broker
