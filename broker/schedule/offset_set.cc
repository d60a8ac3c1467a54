#include "broker/schedule/offset_set.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tidemark::broker {
namespace {

constexpr std::uint64_t bit_of(Offset offset) { return std::uint64_t{1} << (offset.value % 64); }

}  // namespace

const std::uint64_t* OffsetSet::word(Offset offset) const {
  const std::int64_t index = offset.value / 64 - base_;
  if (offset.value < 0 || index < 0 || index >= static_cast<std::int64_t>(words_.size())) return nullptr;
  return &words_[static_cast<std::size_t>(index)];
}

std::uint64_t* OffsetSet::word(Offset offset) { return const_cast<std::uint64_t*>(std::as_const(*this).word(offset)); }

bool OffsetSet::insert(Offset offset) {
  CHECK(offset.value >= 0);
  const std::int64_t wanted = offset.value / 64;
  if (words_.empty() && !based_) base_ = wanted;
  if (wanted < base_) {
    if (based_) return false;
    words_.insert(words_.begin(), static_cast<std::size_t>(base_ - wanted), 0);
    base_ = wanted;
  }
  if (wanted - base_ >= static_cast<std::int64_t>(words_.size())) words_.resize(static_cast<std::size_t>(wanted - base_ + 1), 0);
  std::uint64_t& bits = *word(offset);
  if ((bits & bit_of(offset)) != 0) return false;
  bits |= bit_of(offset);
  ++size_;
  return true;
}

bool OffsetSet::erase(Offset offset) {
  std::uint64_t* const bits = word(offset);
  if (bits == nullptr || (*bits & bit_of(offset)) == 0) return false;
  *bits &= ~bit_of(offset);
  --size_;
  return true;
}

bool OffsetSet::contains(Offset offset) const {
  const std::uint64_t* const bits = word(offset);
  return bits != nullptr && (*bits & bit_of(offset)) != 0;
}

std::optional<Offset> OffsetSet::first(Offset from) const {
  if (size_ == 0) return std::nullopt;
  from = std::max(from, base());
  for (std::int64_t index = from.value / 64 - base_; index < static_cast<std::int64_t>(words_.size()); ++index) {
    std::uint64_t bits = words_[static_cast<std::size_t>(index)];
    const std::int64_t at = (base_ + index) * 64;
    if (at < from.value) bits &= ~std::uint64_t{0} << (from.value - at);
    if (bits != 0) return Offset{at + std::countr_zero(bits)};
  }
  return std::nullopt;
}

void OffsetSet::forget_below(Offset offset) {
  while (!words_.empty() && (base_ + 1) * 64 <= offset.value) {
    size_ -= static_cast<std::uint64_t>(std::popcount(words_.front()));
    words_.pop_front();
    ++base_;
    based_ = true;
  }
}

ByteVector OffsetSet::bits(Offset from, std::size_t bytes_max) const {
  CHECK(from.value % 64 == 0);
  ByteVector out;
  for (Offset at = from; out.size() + 8 <= bytes_max && at < limit(); at = at + 64) {
    const std::uint64_t* const bits = word(at);
    out.resize(out.size() + 8);
    store_le<std::uint64_t>(out.data() + out.size() - 8, bits == nullptr ? 0 : *bits);
  }
  while (!out.empty() && out.back() == std::byte{0}) out.pop_back();
  return out;
}

void OffsetSet::insert_bits(Offset from, ByteView bits) {
  for (std::size_t i = 0; i < bits.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      if ((std::to_integer<unsigned>(bits[i]) >> bit & 1u) != 0) insert(from + static_cast<std::int64_t>(i * 8) + bit);
    }
  }
}

}  // namespace tidemark::broker
