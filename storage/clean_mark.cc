#include "storage/clean_mark.h"

#include "storage/base/crc32c.h"
#include "storage/base/log.h"

namespace tidemark::storage {
namespace {

constexpr std::string_view kMagic = "TDMKCOMP";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kBytes = 48;

std::string path_in(const std::string& directory) { return directory + "/" + std::string(kCleanMarkName); }

}  // namespace

ByteVector encode_clean_mark(const CleanMark& mark) {
  ByteVector file(kBytes);
  std::memcpy(file.data(), kMagic.data(), kMagic.size());
  store_le(file.data() + 8, kVersion);
  store_le(file.data() + 12, mark.end.value);
  store_le(file.data() + 20, mark.tried.value);
  store_le(file.data() + 28, static_cast<std::int64_t>(mark.time.time_since_epoch().count()));
  store_le(file.data() + 36, mark.next_horizon_ms);
  store_le(file.data() + 44, crc32c(ByteView(file).first(44)));
  return file;
}

std::optional<CleanMark> decode_clean_mark(ByteView file) {
  if (file.size() != kBytes || as_text(file.first(8)) != kMagic || load_le<std::uint32_t>(file.data() + 8) != kVersion) return std::nullopt;
  if (load_le<std::uint32_t>(file.data() + 44) != crc32c(file.first(44))) return std::nullopt;
  const CleanMark mark{.end = {load_le<std::int64_t>(file.data() + 12)},
                       .tried = {load_le<std::int64_t>(file.data() + 20)},
                       .time = Timestamp(std::chrono::milliseconds(load_le<std::int64_t>(file.data() + 28))),
                       .next_horizon_ms = load_le<std::int64_t>(file.data() + 36)};
  if (mark.end.value < 0 || mark.tried < mark.end) return std::nullopt;
  return mark;
}

Status write_clean_mark(FileSystem& files, const std::string& directory, const CleanMark& mark) {
  return replace_file(files, path_in(directory), encode_clean_mark(mark));
}

std::optional<CleanMark> read_clean_mark(FileSystem& files, const std::string& directory) {
  const Result<ByteVector> bytes = read_file(files, path_in(directory), kBytes);
  if (!bytes) {
    if (bytes.error().code != Errc::not_found) log_warn("compaction begins anew: " + bytes.error().to_string());
    return std::nullopt;
  }
  std::optional<CleanMark> mark = decode_clean_mark(*bytes);
  if (!mark) log_warn(path_in(directory) + " is damaged: compaction begins anew");
  return mark;
}

}  // namespace tidemark::storage
