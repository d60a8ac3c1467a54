#include <algorithm>
#include <array>

#include "broker/lag/lag_book.h"
#include "storage/base/crc32c.h"
#include "storage/batch/varint.h"

/// The file that carries lag history over a restart; docs/FILE_FORMAT.md, "lag-history".
namespace tidemark::broker {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {'T', 'D', 'M', 'L', 'A', 'G', 'H', 1};  // The last byte is the version.
constexpr std::size_t kChecksumBytes = 4;
constexpr std::uint32_t kSamplesMax = 100'000;
constexpr std::uint32_t kNameBytesMax = 1024;

void append_text(ByteVector& out, std::string_view text) {
  append_unsigned_varint(out, static_cast<std::uint32_t>(text.size()));
  const ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_samples(ByteVector& out, const std::vector<LagSample>& samples) {
  append_unsigned_varint(out, static_cast<std::uint32_t>(samples.size()));
  LagSample before;
  for (const LagSample& sample : samples) {
    append_varlong(out, (sample.time - before.time).count());
    append_varlong(out, sample.end - before.end);
    append_varlong(out, sample.done - before.done);
    append_unsigned_varint(out, sample.lag_deciseconds);
    append_unsigned_varint(out, sample.in_flight);
    append_unsigned_varint(out, sample.retrying);
    before = sample;
  }
}

/// Reads what append_* wrote; after the first thing that does not decode everything is empty and ok() false.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

  std::uint32_t number(std::uint32_t most) {
    const std::optional<std::uint32_t> value = ok_ ? read_unsigned_varint(rest_) : std::nullopt;
    if (value && *value <= most) return *value;
    ok_ = false;
    return 0;
  }
  std::int64_t difference() {
    const std::optional<std::int64_t> value = ok_ ? read_varlong(rest_) : std::nullopt;
    ok_ = value.has_value();
    return value.value_or(0);
  }
  std::string text() {
    const std::uint32_t size = number(kNameBytesMax);
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    std::string text = tidemark::to_string(rest_.first(size));
    rest_ = rest_.subspan(size);
    return text;
  }
  std::vector<LagSample> samples() {
    std::vector<LagSample> all;
    const std::uint32_t count = number(kSamplesMax);
    LagSample sample;
    for (std::uint32_t i = 0; i < count && ok_; ++i) {
      // Sums of hostile differences wrap instead of overflowing.
      const auto plus = [this](std::int64_t base) {
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(base) + static_cast<std::uint64_t>(difference()));
      };
      sample.time = Timestamp(std::chrono::milliseconds(plus(sample.time.time_since_epoch().count())));
      sample.end = plus(sample.end);
      sample.done = plus(sample.done);
      sample.lag_deciseconds = number(UINT32_MAX);
      sample.in_flight = number(UINT32_MAX);
      sample.retrying = number(UINT32_MAX);
      if (ok_) all.push_back(sample);
    }
    return all;
  }

 private:
  ByteView rest_;
  bool ok_ = true;
};

std::uint32_t stored_checksum(ByteView bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < kChecksumBytes; ++i) sum |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
  return sum;
}

}  // namespace

ByteVector LagBook::encode() const {
  ByteVector out;
  for (const std::uint8_t byte : kMagic) out.push_back(std::byte{byte});
  append_unsigned_varint(out, static_cast<std::uint32_t>(series_.size()));
  for (const auto& [key, series] : series_) {
    out.push_back(std::byte{static_cast<std::uint8_t>(key.kind)});
    append_text(out, key.group);
    append_text(out, key.topic);
    append_unsigned_varint(out, static_cast<std::uint32_t>(key.partition));
    append_samples(out, series.samples());
  }
  const std::uint32_t sum = crc32c(out);
  for (std::size_t i = 0; i < kChecksumBytes; ++i) out.push_back(std::byte{static_cast<std::uint8_t>(sum >> (8 * i))});
  return out;
}

Status LagBook::restore(ByteView file) {
  const Error bad{Errc::corrupt_batch, "this is no lag history, or a damaged one"};
  if (file.size() < kMagic.size() + kChecksumBytes) return bad;
  const bool ours = std::equal(kMagic.begin(), kMagic.end(), file.begin(), [](std::uint8_t a, std::byte b) { return std::byte{a} == b; });
  if (!ours) return bad;
  const ByteView sealed = file.first(file.size() - kChecksumBytes);
  if (crc32c(sealed) != stored_checksum(file.last(kChecksumBytes))) return bad;
  Reader reader(sealed.subspan(kMagic.size()));
  const std::uint32_t count = reader.number(kSeriesMax);
  std::vector<std::pair<Key, std::vector<LagSample>>> found;
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    Key key;
    key.kind = reader.number(2) == static_cast<std::uint32_t>(GroupKind::queue) ? GroupKind::queue : GroupKind::stream;
    key.group = reader.text();
    key.topic = reader.text();
    key.partition = static_cast<std::int32_t>(reader.number(INT32_MAX));
    found.emplace_back(std::move(key), reader.samples());
  }
  if (!reader.ok() || !reader.at_end()) return bad;
  fit(std::max(found.size(), std::size_t{1}));
  for (auto& [key, samples] : found) series_[std::move(key)].restore(samples, resolution_);
  return {};
}

}  // namespace tidemark::broker
