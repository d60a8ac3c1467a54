#include "broker/dedup_window.h"

#include <openssl/sha.h>

#include "storage/base/bytes.h"

namespace tidemark::broker {

DedupId DedupId::of(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  const auto* const bytes = reinterpret_cast<const std::byte*>(digest.data());
  return {load_le<std::uint64_t>(bytes), load_le<std::uint64_t>(bytes + 8)};
}

std::array<char, 16> DedupId::bytes() const {
  std::array<char, 16> out{};
  store_le(reinterpret_cast<std::byte*>(out.data()), high);
  store_le(reinterpret_cast<std::byte*>(out.data()) + 8, low);
  return out;
}

std::optional<Offset> DedupWindow::find(const DedupId& id, Timestamp now, std::chrono::milliseconds window) {
  expire(now, window);
  const auto found = seen_.find(id);
  if (found == seen_.end()) return std::nullopt;
  if (found->second.time + window >= now) return found->second.offset;
  seen_.erase(found);  // Behind a younger one in the order: times may go back a little.
  return std::nullopt;
}

void DedupWindow::add(const DedupId& id, Offset offset, Timestamp time) {
  if (seen_.contains(id)) return;
  while (!budget_.try_take(kBytesPerId)) {
    ++forgotten_early_;
    if (order_.empty()) return;
    forget_oldest();
  }
  seen_.emplace(id, Seen{offset, time});
  order_.emplace_back(id, time);
}

void DedupWindow::expire(Timestamp now, std::chrono::milliseconds window) {
  while (!order_.empty() && order_.front().second + window < now) forget_oldest();
}

void DedupWindow::forget_oldest() {
  // The id may have come again since.
  const auto found = seen_.find(order_.front().first);
  if (found != seen_.end() && found->second.time == order_.front().second) seen_.erase(found);
  order_.pop_front();
  budget_.give_back(kBytesPerId);
}

void DedupWindow::clear() {
  while (!order_.empty()) forget_oldest();
}

}  // namespace tidemark::broker
