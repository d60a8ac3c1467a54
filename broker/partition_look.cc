#include <algorithm>

#include "broker/partition.h"

/// Answers questions about places in the log for lag and seeks: from memory where the index is there, else from the disk pool.
namespace tidemark::broker {
namespace {

struct Places {
  std::optional<storage::PlacePlan> first, second;
  std::optional<storage::Place> at, and_at;
};

Status read_place(std::optional<storage::PlacePlan>& plan, std::optional<storage::Place>& place, storage::FileCache& files) {
  if (!plan || place) return {};
  Result<storage::Place> read = plan->execute(files);
  if (!read) return std::move(read).error();
  place = *read;
  return {};
}

}  // namespace

void Partition::look(const PlaceQuery& query, Done<PlaceReport> done) {
  if (closed_) return done(*closed_);
  PlaceReport report;
  report.log_start = log_->log_start();
  report.end = last_stable();
  if (!query.by_time_ms) return look_at_places(query.at, query.time_known, query.and_at, report, std::move(done));
  find_offset(OffsetQuery::timestamp, *query.by_time_ms,
              [self = shared_from_this(), at = query.at, time_known = query.time_known, report,
               done = std::move(done)](Result<OffsetAt> found) mutable {
                if (!found) return done(std::move(found).error());
                report.by_time = found->offset;
                self->look_at_places(at, time_known, found->offset, report, std::move(done));
              });
}

void Partition::look_at_places(std::optional<Offset> at, bool time_known, std::optional<Offset> and_at, PlaceReport report,
                               Done<PlaceReport> done) {
  if (closed_) return done(*closed_);
  const Offset start = log_->log_start();
  const Offset end = last_stable();
  if (at && *at >= start && *at < end) report.quarantined = log_->damage_at(*at) != nullptr;
  // Mostly, nothing is left to be looked up: lag asks this of very many partitions at once.
  const bool at_matters = at && (!time_known || *at < start);
  if (!at_matters && !and_at) return done(report);
  auto places = std::make_shared<Places>();
  const auto plan = [&](std::optional<Offset> offset, std::optional<storage::PlacePlan>& needed, std::optional<storage::Place>& known) {
    if (!offset || start == end || *offset >= end) return;
    needed = log_->plan_place(std::max(*offset, start));
    known = log_->place_of(std::max(*offset, start));
  };
  if (at_matters) plan(at, places->first, places->at);
  plan(and_at, places->second, places->and_at);
  const std::uint64_t bytes_all = log_->size_bytes();
  const bool both = at && and_at;
  auto finish = [report, places, bytes_all, both]() mutable {
    if (places->at) {
      report.append_time = places->at->append_time;
      report.estimated = places->at->estimated;
    }
    if (both) {
      const std::uint64_t a = places->at ? places->at->bytes_before : bytes_all;
      const std::uint64_t b = places->and_at ? places->and_at->bytes_before : bytes_all;
      report.bytes = a > b ? a - b : b - a;
    }
    return report;
  };
  const bool in_memory = places->first.has_value() == places->at.has_value() && places->second.has_value() == places->and_at.has_value();
  if (in_memory) return done(finish());
  started();
  services_.runtime.disk_pool().post([self = shared_from_this(), places, finish = std::move(finish), done = std::move(done)]() mutable {
    Status read = read_place(places->first, places->at, self->services_.files);
    if (read) read = read_place(places->second, places->and_at, self->services_.files);
    self->services_.shard.post([self, finish = std::move(finish), read = std::move(read), done = std::move(done)]() mutable {
      if (read)
        done(finish());
      else
        done(std::move(read).error());
      self->finished();
    });
  });
}

}  // namespace tidemark::broker
