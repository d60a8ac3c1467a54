#include "tools/tidemarkd/machine.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <linux/magic.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace tidemark::tools {
namespace {

struct FileSystemKind {
  std::uint64_t magic;
  const char* name;
  bool volatile_storage;
  bool network;
};

constexpr std::array<FileSystemKind, 12> kFileSystems = {{
    {EXT4_SUPER_MAGIC, "ext4", false, false},
    {XFS_SUPER_MAGIC, "xfs", false, false},
    {BTRFS_SUPER_MAGIC, "btrfs", false, false},
    {F2FS_SUPER_MAGIC, "f2fs", false, false},
    {0x2fc12fc1, "zfs", false, false},
    {TMPFS_MAGIC, "tmpfs", true, false},
    {RAMFS_MAGIC, "ramfs", true, false},
    {OVERLAYFS_SUPER_MAGIC, "overlay", false, false},
    {NFS_SUPER_MAGIC, "nfs", false, true},
    {CIFS_SUPER_MAGIC, "cifs", false, true},
    {FUSE_SUPER_MAGIC, "fuse", false, true},
    {V9FS_MAGIC, "9p", false, true},
}};

std::optional<std::uint64_t> first_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

/// The bound of this process's control group, version 2 or 1, own or as seen from inside a container.
std::uint64_t control_group_memory_bytes() {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::string> files = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) {
    if (line.starts_with("0::")) files.push_back("/sys/fs/cgroup" + line.substr(3) + "/memory.max");
  }
  for (const std::string& file : files) least = std::min(least, first_number(file).value_or(least));
  return least;
}

Error system_error(const std::string& path) {
  const int code = errno;
  return Error{code == ENOSPC ? Errc::disk_full : Errc::io_error, path + ": " + std::strerror(code)};
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

/// A file without a name, so that nothing is left behind; file systems without O_TMPFILE get a name for a moment.
int open_nameless(const std::string& directory) {
  const int file = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  std::string name = directory + "/flush-probe-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

}  // namespace

Machine inspect_machine() {
  Machine machine;
  machine.processors = std::max(1u, std::thread::hardware_concurrency());
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  machine.memory_bytes = std::min(pages * page_bytes, control_group_memory_bytes());
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    const rlimit raised{.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
    machine.open_files_max = static_cast<std::size_t>(std::min<rlim_t>(files.rlim_cur, 1'000'000));
  }
  return machine;
}

Result<DiskFacts> inspect_disk(const std::string& path) {
  struct statfs facts {};
  struct stat status {};
  if (::statfs(path.c_str(), &facts) != 0 || ::stat(path.c_str(), &status) != 0) return system_error(path);
  DiskFacts disk;
  const auto block_bytes = static_cast<std::uint64_t>(facts.f_frsize);
  disk.free_bytes = block_bytes * facts.f_bavail;
  disk.total_bytes = block_bytes * facts.f_blocks;
  const auto magic = static_cast<std::uint64_t>(facts.f_type) & 0xffffffffu;
  const auto kind = std::ranges::find(kFileSystems, magic, &FileSystemKind::magic);
  if (kind != kFileSystems.end()) {
    disk.file_system = kind->name;
    disk.volatile_storage = kind->volatile_storage;
    disk.network = kind->network;
  } else {
    std::ostringstream hex;
    hex << "0x" << std::hex << magic;
    disk.file_system = std::move(hex).str();
  }
  // A partition has no queue of its own: its disk is the folder above.
  const std::string device = "/sys/dev/block/" + std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
  for (const char* const place : {"/queue/rotational", "/../queue/rotational"}) {
    if (const auto rotational = first_number(device + place)) {
      disk.rotational = *rotational != 0;
      break;
    }
  }
  return disk;
}

Result<FlushTime> measure_flush_time(const std::string& directory) {
  constexpr std::size_t kBlockBytes = 4096;
  constexpr std::size_t kFlushesMax = 64;
  constexpr std::chrono::milliseconds kLongEnough{50};
  using Clock = std::chrono::steady_clock;

  const Descriptor file(open_nameless(directory));
  if (file.number() < 0) return system_error(directory);
  const std::vector<char> block(kBlockBytes, 'x');
  std::vector<std::chrono::microseconds> times;
  const auto begin = Clock::now();
  while (times.size() < kFlushesMax && (times.size() < 3 || Clock::now() - begin < kLongEnough)) {
    const auto at = static_cast<off_t>(times.size() * kBlockBytes);
    const auto before = Clock::now();
    if (::pwrite(file.number(), block.data(), kBlockBytes, at) != static_cast<ssize_t>(kBlockBytes)) return system_error(directory);
    if (::fdatasync(file.number()) != 0) return system_error(directory);
    times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - before));
  }
  std::ranges::sort(times);
  return FlushTime{.median = times[times.size() / 2], .worst = times.back(), .flushes = times.size()};
}

std::optional<bool> clock_synchronised() {
  timex state{};
  const int answer = ::adjtimex(&state);
  if (answer < 0) return std::nullopt;
  return answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace tidemark::tools
