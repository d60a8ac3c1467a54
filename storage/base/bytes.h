#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/check.h"

namespace tidemark {

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;
using ByteVector = std::vector<std::byte>;

inline ByteView as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline std::string to_string(ByteView bytes) { return std::string(as_text(bytes)); }

/// Field-by-field encoding. Our own files are little-endian, the Kafka record batch is big-endian.
template <std::integral T>
constexpr T swap_bytes(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
}
static_assert(std::endian::native == std::endian::little, "big-endian machines are not supported");

template <std::integral T>
T load_le(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <std::integral T>
T load_be(const std::byte* at) {
  return swap_bytes(load_le<T>(at));
}
template <std::integral T>
void store_le(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}
template <std::integral T>
void store_be(std::byte* at, T value) {
  store_le(at, swap_bytes(value));
}

/// A piece of a shared buffer: cheap to copy, keeps the bytes alive. Network frame, staged batch, tail cache and reply share one
/// buffer this way. Writable only by whoever holds the single logical owner of the piece (the partition, before it is flushed).
class Slice {
 public:
  Slice() = default;
  Slice(std::shared_ptr<std::byte[]> owner, std::byte* data, std::size_t size) : owner_(std::move(owner)), data_(data), size_(size) {}

  /// A fresh uninitialised buffer of `size` bytes.
  static Slice allocate(std::size_t size) {
    std::shared_ptr<std::byte[]> owner(new std::byte[size]);
    std::byte* const data = owner.get();
    return {std::move(owner), data, size};
  }
  static Slice copy_of(ByteView bytes) {
    Slice slice = allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(slice.data_, bytes.data(), bytes.size());
    return slice;
  }

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteView view() const { return {data_, size_}; }
  MutableBytes writable() const { return {data_, size_}; }

  Slice subslice(std::size_t from, std::size_t count) const {
    CHECK(from <= size_ && count <= size_ - from);
    return {owner_, data_ + from, count};
  }

 private:
  std::shared_ptr<std::byte[]> owner_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace tidemark
