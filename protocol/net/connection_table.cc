#include "protocol/net/connection_table.h"

#include <utility>

namespace tidemark::net {

ConnectionTable::Entry::~Entry() {
  std::map<std::uint64_t, Place>::node_type place;  // Destroyed outside the lock: what `end` holds may be the last of a connection.
  const std::lock_guard lock(table_->mutex_);
  place = table_->places_.extract(id_);
}

void ConnectionTable::Entry::set_client_id(std::string_view client_id) {
  const std::lock_guard lock(table_->mutex_);
  table_->places_.at(id_).row.client_id = client_id.substr(0, kClientIdBytesMax);
}

void ConnectionTable::Entry::set_end(UniqueFunction<void()> end) {
  const std::lock_guard lock(table_->mutex_);
  table_->places_.at(id_).end = std::move(end);
}

std::shared_ptr<ConnectionTable::Entry> ConnectionTable::enter(std::string listener, std::string peer, Timestamp now) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = next_id_++;
  places_[id].row = {id, std::move(listener), std::move(peer), {}, now};
  return std::make_shared<Entry>(shared_from_this(), id);
}

std::vector<ConnectionTable::Row> ConnectionTable::list(std::string_view listener, std::uint64_t after, std::size_t max) const {
  std::vector<Row> rows;
  const std::lock_guard lock(mutex_);
  for (auto place = places_.upper_bound(after); place != places_.end() && rows.size() < max; ++place) {
    if (listener.empty() || place->second.row.listener == listener) rows.push_back(place->second.row);
  }
  return rows;
}

Status ConnectionTable::end(std::uint64_t id) {
  UniqueFunction<void()> end;
  {
    const std::lock_guard lock(mutex_);
    const auto place = places_.find(id);
    if (place == places_.end()) return Error{Errc::not_found, "no connection " + std::to_string(id)};
    end = std::move(place->second.end);
    place->second.end = nullptr;
  }
  if (end) end();  // Else it is just being opened, or has been asked before.
  return {};
}

}  // namespace tidemark::net
