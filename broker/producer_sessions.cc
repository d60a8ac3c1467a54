#include "broker/producer_sessions.h"

#include <algorithm>

namespace tidemark::broker {
namespace {

std::int32_t next_sequence(std::int32_t sequence) { return sequence == 2147483647 ? 0 : sequence + 1; }

std::string producer_text(const BatchHeader& header) {
  return "producer " + std::to_string(header.producer_id) + " epoch " + std::to_string(header.producer_epoch);
}

ProducerSession cut_at(ProducerSession session, Offset end) {
  std::erase_if(session.batches, [&](const ProducedBatch& batch) { return batch.end_offset > end; });
  return session;
}

}  // namespace

Result<std::optional<ProducedBatch>> ProducerSessions::check(const BatchHeader& header) const {
  CHECK(header.has_producer());
  const ProducerSession* const session = find(header.producer_id);
  if (session == nullptr) return std::optional<ProducedBatch>();
  if (header.producer_epoch < session->epoch) {
    return Error{Errc::stale_producer_epoch, producer_text(header) + " was replaced by epoch " + std::to_string(session->epoch)};
  }
  if (header.producer_epoch > session->epoch) {
    if (header.base_sequence == 0) return std::optional<ProducedBatch>();
    return Error{Errc::out_of_order_sequence,
                 producer_text(header) + " is new and must start at sequence 0, not " + std::to_string(header.base_sequence)};
  }
  for (const ProducedBatch& batch : session->batches) {
    if (batch.first_sequence == header.base_sequence && batch.last_sequence == header.last_sequence()) return std::optional(batch);
  }
  if (session->batches.empty()) return std::optional<ProducedBatch>();
  const std::int32_t expected = next_sequence(session->batches.back().last_sequence);
  if (header.base_sequence == expected) return std::optional<ProducedBatch>();
  // Behind the last five: it was written, but its offset is forgotten. Distances are taken modulo the sequence space.
  const std::uint32_t behind = (static_cast<std::uint32_t>(expected) - static_cast<std::uint32_t>(header.base_sequence)) & 0x7fffffffu;
  const bool known_past = behind <= 0x3fffffffu && session->batches.size() == kBatchesKept;
  return Error{known_past ? Errc::duplicate_sequence : Errc::out_of_order_sequence,
               producer_text(header) + ": expected sequence " + std::to_string(expected) + ", got " + std::to_string(header.base_sequence)};
}

void ProducerSessions::appended(const BatchHeader& header, Offset base_offset, Timestamp append_time) {
  note(header, base_offset, base_offset + header.last_offset_delta + 1, append_time);
}

void ProducerSessions::passed_over(const BatchHeader& header, Offset at, Timestamp time) { note(header, at, at, time); }

ProducerSession ProducerSessions::as_of(std::int64_t id, Offset flushed) const { return cut_at(sessions_.at(id), flushed); }

void ProducerSessions::note(const BatchHeader& header, Offset base_offset, Offset end_offset, Timestamp append_time) {
  if (!sessions_.contains(header.producer_id) && sessions_.size() >= kSessionsMax) evict_oldest();
  ProducerSession& session = sessions_[header.producer_id];
  if (session.id != header.producer_id || session.epoch != header.producer_epoch) {
    session = ProducerSession{.id = header.producer_id, .epoch = header.producer_epoch, .batches = {}, .last_append = append_time};
  }
  session.last_append = append_time;
  if (!header.is_control()) {
    if (session.batches.size() == kBatchesKept) session.batches.erase(session.batches.begin());
    session.batches.push_back({header.base_sequence, header.last_sequence(), base_offset, end_offset, append_time});
  }
  changed_.insert(header.producer_id);
}

void ProducerSessions::restore(ProducerSession session) {
  const std::int64_t id = session.id;
  sessions_[id] = std::move(session);
}

void ProducerSessions::recovered(const BatchHeader& header, Timestamp append_time) {
  const ProducerSession* const session = find(header.producer_id);
  const bool known = session != nullptr && !session->batches.empty() && session->batches.back().end_offset >= header.end_offset();
  if (!known) appended(header, header.base_offset, append_time);
}

void ProducerSessions::cut(Offset end) {
  for (auto& [id, session] : sessions_) session = cut_at(session, end);
}

void ProducerSessions::expire(Timestamp now) {
  std::erase_if(sessions_, [&](const auto& entry) { return entry.second.last_append + kExpiry < now && !held(entry.first); });
  std::erase_if(changed_, [&](std::int64_t id) { return !sessions_.contains(id); });
}

const ProducerSession* ProducerSessions::find(std::int64_t id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : &found->second;
}

std::vector<ProducerSession> ProducerSessions::take_changed(Offset flushed) {
  std::vector<ProducerSession> changed;
  changed.reserve(changed_.size());
  std::unordered_set<std::int64_t> again;
  for (const std::int64_t id : changed_) {
    const ProducerSession& session = sessions_.at(id);
    changed.push_back(cut_at(session, flushed));
    if (changed.back().batches.size() != session.batches.size()) again.insert(id);
  }
  changed_ = std::move(again);
  return changed;
}

std::vector<ProducerSession> ProducerSessions::all(Offset flushed) const {
  std::vector<ProducerSession> sessions;
  sessions.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) sessions.push_back(cut_at(session, flushed));
  return sessions;
}

void ProducerSessions::evict_oldest() {
  // A sixty-fourth at a time: a stream of new producers then pays for one scan per many appends.
  std::vector<Timestamp> times;
  times.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) {
    if (!held(id)) times.push_back(session.last_append);
  }
  if (times.empty()) return;
  const auto cut = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 64);
  std::ranges::nth_element(times, cut);
  const Timestamp oldest_kept = *cut;
  std::size_t left = times.size() / 64 + 1;
  std::erase_if(sessions_,
                [&](const auto& entry) { return entry.second.last_append <= oldest_kept && left > 0 && !held(entry.first) && left-- > 0; });
  std::erase_if(changed_, [&](std::int64_t id) { return !sessions_.contains(id); });
}

}  // namespace tidemark::broker
