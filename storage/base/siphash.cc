#include "storage/base/siphash.h"

#include <array>
#include <bit>

namespace tidemark {
namespace {

class SipState {
 public:
  explicit SipState(const Hash128& seed)
      : v_{seed.low ^ 0x736f6d6570736575, seed.high ^ 0x646f72616e646f6d ^ 0xee, seed.low ^ 0x6c7967656e657261,
           seed.high ^ 0x7465646279746573} {}

  void take(std::uint64_t word) {
    v_[3] ^= word;
    rounds(2);
    v_[0] ^= word;
  }
  std::uint64_t result(std::size_t field, std::uint64_t mark) {
    v_[field] ^= mark;
    rounds(4);
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v_[0] += v_[1];
      v_[1] = std::rotl(v_[1], 13) ^ v_[0];
      v_[0] = std::rotl(v_[0], 32);
      v_[2] += v_[3];
      v_[3] = std::rotl(v_[3], 16) ^ v_[2];
      v_[0] += v_[3];
      v_[3] = std::rotl(v_[3], 21) ^ v_[0];
      v_[2] += v_[1];
      v_[1] = std::rotl(v_[1], 17) ^ v_[2];
      v_[2] = std::rotl(v_[2], 32);
    }
  }

  std::array<std::uint64_t, 4> v_;
};

}  // namespace

Hash128 siphash128(ByteView bytes, const Hash128& seed) {
  SipState state(seed);
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  while (bytes.size() >= sizeof(std::uint64_t)) {
    state.take(load_le<std::uint64_t>(bytes.data()));
    bytes = bytes.subspan(sizeof(std::uint64_t));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) last |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  state.take(last);
  const std::uint64_t low = state.result(2, 0xee);
  return {low, state.result(1, 0xdd)};
}

}  // namespace tidemark
