#include "broker/schedule/schedule.h"

#include <charconv>

#include "broker/broker_impl.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kHome = 0;  ///< The metadata shard.

}  // namespace

template <class T>
void Schedule::on_scheduler(Done<T> done, UniqueFunction<void(Scheduler&, Done<T>)> call) {
  const std::size_t here = broker_.current_shard();
  broker_.on_shard(kHome, [this, here, done = std::move(done), call = std::move(call)]() mutable {
    call(broker_.scheduler, [this, here, done = std::move(done)](Result<T> result) mutable {
      broker_.on_shard(here, [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
    });
  });
}

std::string ScheduledId::to_string() const { return std::to_string(lane) + "-" + std::to_string(number); }

std::optional<ScheduledId> ScheduledId::parse(std::string_view text) {
  ScheduledId id;
  const char* const end = text.data() + text.size();
  const auto [dash, bad_lane] = std::from_chars(text.data(), end, id.lane);
  if (bad_lane != std::errc() || dash == end || *dash != '-') return std::nullopt;
  const auto [rest, bad_number] = std::from_chars(dash + 1, end, id.number);
  if (bad_number != std::errc() || rest != end || id.lane < 0 || id.number < 0) return std::nullopt;
  return id;
}

std::string_view to_string(ScheduledInfo::State state) {
  switch (state) {
    case ScheduledInfo::State::waiting:
      return "waiting";
    case ScheduledInfo::State::retrying:
      return "retrying";
    case ScheduledInfo::State::failed:
      return "failed";
  }
  return "unknown";
}

void Schedule::list(const RequestContext&, ScheduleQuery query, Done<SchedulePage> done) {
  on_scheduler<SchedulePage>(std::move(done), [query = std::move(query)](Scheduler& scheduler, Done<SchedulePage> answer) mutable {
    scheduler.list(std::move(query), std::move(answer));
  });
}

void Schedule::cancel(const RequestContext&, ScheduledId id, Done<ScheduledInfo> done) {
  on_scheduler<ScheduledInfo>(std::move(done),
                              [id](Scheduler& scheduler, Done<ScheduledInfo> answer) { scheduler.cancel(id, std::move(answer)); });
}

void Schedule::status(const RequestContext&, Done<ScheduleStatus> done) {
  on_scheduler<ScheduleStatus>(std::move(done),
                               [](Scheduler& scheduler, Done<ScheduleStatus> answer) { scheduler.status(std::move(answer)); });
}

}  // namespace tidemark::broker
