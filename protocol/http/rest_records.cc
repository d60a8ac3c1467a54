#include <algorithm>
#include <charconv>

#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/record_scan.h"
#include "protocol/http/seek_target.h"

/// Records: look at them, look at one.
namespace tidemark::http {
namespace {

constexpr std::int32_t kPartitionMax = 9'999;

using Infos = std::vector<broker::PartitionInfo>;

/// Where a position lies in a partition; times were looked up before. nullopt: `committed` and the like, which mean a group.
std::optional<Offset> resolve(const broker::SeekTarget& target, const broker::PartitionInfo& info, std::optional<Offset> by_time) {
  using Kind = broker::SeekTarget::Kind;
  const Offset start = info.log_start, end = info.high_watermark;
  switch (target.kind) {
    case Kind::earliest:
      return start;
    case Kind::latest:
      return end;
    case Kind::offset:
      return std::clamp(Offset{target.value}, start, end);
    case Kind::after_start:
      return target.value >= end - start ? end : start + target.value;
    case Kind::before_end:
      return target.value >= end - start ? start : Offset{end.value - target.value};
    case Kind::time:
      return by_time ? std::clamp(*by_time, start, end) : end;
    case Kind::relative:
    case Kind::group:
    case Kind::committed:
      break;
  }
  return std::nullopt;
}

/// Finds out where a look at records begins and ends in each partition, then scans.
class Look : public std::enable_shared_from_this<Look> {
 public:
  Look(Ask ask, RecordScan::Plan plan, broker::SeekTarget from, broker::SeekTarget to)
      : ask_(std::move(ask)), plan_(std::move(plan)), from_(std::move(from)), to_(std::move(to)) {}

  void start(Infos infos, std::optional<std::int32_t> partition) {
    if (partition) {
      std::erase_if(infos, [partition](const broker::PartitionInfo& info) { return info.partition != *partition; });
      if (infos.empty()) return ask_.refuse(Error{Errc::unknown_partition, "topic '" + plan_.topic + "' has no such partition"});
    } else if (infos.size() > static_cast<std::size_t>(RecordScan::kPartitionsMax)) {
      return ask_.refuse(Problem{.status = 400,
                                 .code = "invalid_argument",
                                 .detail = "name a partition: the topic has more than " + std::to_string(RecordScan::kPartitionsMax),
                                 .field = "partition",
                                 .rule = "given for topics with many partitions"});
    }
    infos_ = std::move(infos);
    from_times_.resize(infos_.size());
    to_times_.resize(infos_.size());
    find_times(from_, from_times_);
    find_times(to_, to_times_);
    one_less();
  }

 private:
  void find_times(const broker::SeekTarget& target, std::vector<std::optional<Offset>>& found) {
    if (target.kind != broker::SeekTarget::Kind::time) return;
    left_ += infos_.size();
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      ask_.broker().find_offset(ask_.context(), {plan_.topic, infos_[i].partition}, broker::OffsetQuery::timestamp, target.value,
                                [self = shared_from_this(), &found, i](Result<broker::OffsetAt> at) {
                                  if (at) found[i] = at->offset;
                                  if (!at) self->failed_ = at.error();
                                  self->one_less();
                                });
    }
  }

  void one_less() {
    if (--left_ > 0) return;
    if (failed_) return ask_.refuse(*failed_);
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      const std::optional<Offset> from = resolve(from_, infos_[i], from_times_[i]);
      const std::optional<Offset> to = resolve(to_, infos_[i], to_times_[i]);
      if (!from || !to) return ask_.refuse(Error{Errc::invalid_argument, "from and to are positions in the log: no group's"});
      plan_.stretches.push_back({infos_[i].partition, *from, std::max(*from, *to)});
    }
    RecordScan::run(ask_, std::move(plan_));
  }

  const Ask ask_;
  RecordScan::Plan plan_;
  const broker::SeekTarget from_, to_;
  Infos infos_;
  std::vector<std::optional<Offset>> from_times_, to_times_;
  std::optional<Error> failed_;
  std::size_t left_ = 1;
};

void show_records(const Ask& ask) {
  if (const Status known = query_has_only(ask.call(), {"partition", "from", "to", "limit", "filter"}); !known)
    return ask.refuse(known.error());
  const Result<std::int64_t> limit = query_integer(ask.call(), "limit", 1, RecordScan::kLimitMax, 100);
  if (!limit) return ask.refuse(limit.error());
  const Result<std::int64_t> partition = query_integer(ask.call(), "partition", 0, kPartitionMax, -1);
  if (!partition) return ask.refuse(partition.error());
  const Timestamp now = ask.runtime().clock().now();
  Result<broker::SeekTarget> from = parse_seek_target(ask.query("from").value_or("earliest"), now);
  Result<broker::SeekTarget> to = parse_seek_target(ask.query("to").value_or("latest"), now);
  for (const Result<broker::SeekTarget>* const target : {&from, &to}) {
    if (!*target) return ask.refuse(target->error());
  }
  RecordScan::Plan plan;
  plan.topic = ask.path_value(0);
  plan.limit = static_cast<std::size_t>(*limit);
  plan.newest = from->kind == broker::SeekTarget::Kind::before_end;
  if (const std::optional<std::string> text = ask.query("filter"); text && !text->empty()) {
    Result<broker::RecordFilter> filter = broker::RecordFilter::parse(*text, now);
    if (!filter) return ask.refuse(filter.error());
    plan.filter = std::make_shared<const broker::RecordFilter>(*std::move(filter));
  }
  std::optional<std::int32_t> one;
  if (*partition >= 0) one = static_cast<std::int32_t>(*partition);
  const auto look = std::make_shared<Look>(ask, std::move(plan), *std::move(from), *std::move(to));
  ask.broker().describe(ask.context(), ask.path_value(0),
                        ask.then<Infos>([look, one](const Ask&, Infos infos) { look->start(std::move(infos), one); }));
}

Result<std::int64_t> path_integer(const std::string& text, std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= most) return number;
  return Error{Errc::invalid_argument, "'" + text + "' is no number from 0 to " + std::to_string(most)};
}

/// The scan of one offset; its answer is a list, which here is one record or 404.
void show_record(const Ask& ask) {
  const Result<std::int64_t> partition = path_integer(ask.path_value(1), kPartitionMax);
  if (!partition) return ask.refuse(partition.error());
  const Result<std::int64_t> offset = path_integer(ask.path_value(2), INT64_MAX - 1);
  if (!offset) return ask.refuse(offset.error());
  RecordScan::Plan plan;
  plan.topic = ask.path_value(0);
  plan.limit = 1;
  plan.stretches.push_back({static_cast<std::int32_t>(*partition), Offset{*offset}, Offset{*offset + 1}});
  RecordScan::run_one(ask, std::move(plan));
}

}  // namespace

void add_record_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/topics/{topic}/records", show_records);
  add_route(router, link, "GET", "/api/v1/topics/{topic}/records/{partition}/{offset}", show_record);
}

}  // namespace tidemark::http
