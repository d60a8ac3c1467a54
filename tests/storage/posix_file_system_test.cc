#include "storage/posix_file_system.h"

#include <filesystem>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/storage/temporary_directory.h"

namespace tidemark::storage {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::UnorderedElementsAreArray;

class PosixDisk : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory.path() + "/" + name; }
  std::unique_ptr<File> create(const std::string& name) {
    Result<std::unique_ptr<File>> file = files.open(path(name), OpenMode::create);
    CHECK(file);
    return *std::move(file);
  }
  std::uint64_t allocated_bytes(const std::string& name) const {
    struct stat status {};
    CHECK(::stat(path(name).c_str(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  static std::vector<int> inheritable_descriptors() {
    std::vector<int> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      const int descriptor = std::stoi(entry.path().filename().string());
      const int flags = ::fcntl(descriptor, F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) == 0) found.push_back(descriptor);
    }
    return found;
  }

  TemporaryDirectory directory;
  PosixFileSystem files;
};

TEST_F(PosixDisk, names_call_path_and_reason_in_an_error) {
  const auto missing = files.open(path("nowhere/f"), OpenMode::read);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().detail, "open " + path("nowhere/f") + ": No such file or directory");
  const Status renamed = files.rename(path("a"), path("b"));
  EXPECT_THAT(renamed.error().detail, HasSubstr(path("a") + " to " + path("b")));
}

TEST_F(PosixDisk, a_reservation_owns_blocks_and_truncating_gives_them_back) {
  const auto file = create("f");
  const ByteView part = as_bytes("abc");
  ASSERT_TRUE(file->write(FilePosition{0}, std::span(&part, 1)));
  ASSERT_TRUE(file->sync());
  const std::uint64_t before = allocated_bytes("f");
  ASSERT_TRUE(file->reserve(8 << 20));
  EXPECT_GE(allocated_bytes("f"), std::uint64_t{8 << 20});
  EXPECT_EQ(*file->size(), 3U);
  ASSERT_TRUE(file->truncate(3));
  EXPECT_LE(allocated_bytes("f"), std::max<std::uint64_t>(before, 64 << 10));
}

TEST_F(PosixDisk, a_write_the_disk_has_no_room_for_says_disk_full) {
  Result<std::unique_ptr<File>> full = files.open("/dev/full", OpenMode::read_write);
  EXPECT_EQ(full.error().code, Errc::io_error);  // A device, not a file.
  const auto file = create("f");
  EXPECT_EQ(file->reserve(std::uint64_t{1} << 60).error().code, Errc::disk_full);
  EXPECT_EQ(allocated_bytes("f"), 0U);
}

TEST_F(PosixDisk, a_lock_keeps_other_processes_out_and_dies_with_its_own) {
  int ready[2];
  int go_on[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(go_on, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  char byte = 0;
  if (child == 0) {
    const auto held = files.lock(path("lock"));
    byte = held ? 'y' : 'n';
    const bool told = ::write(ready[1], &byte, 1) == 1 && ::read(go_on[0], &byte, 1) == 1;
    ::_exit(told ? 0 : 1);  // Without destructors: as a killed process does.
  }
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  EXPECT_EQ(files.lock(path("lock")).error().code, Errc::locked);
  ASSERT_EQ(::write(go_on[1], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(files.lock(path("lock")));
  for (const int end : {ready[0], ready[1], go_on[0], go_on[1]}) ::close(end);
}

TEST_F(PosixDisk, no_descriptor_is_handed_to_child_processes) {
  const std::vector<int> before = inheritable_descriptors();
  const auto file = create("f");
  const auto lock = files.lock(path("lock"));
  EXPECT_THAT(inheritable_descriptors(), UnorderedElementsAreArray(before));
}

TEST_F(PosixDisk, every_descriptor_is_closed) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = count();
  for (int i = 0; i < 3; ++i) {
    const auto file = create("f");
    ASSERT_TRUE(files.sync_all(*file));
    ASSERT_TRUE(files.sync_directory(directory.path()));
    ASSERT_TRUE(files.lock(path("lock")));
    EXPECT_FALSE(files.open(directory.path(), OpenMode::read));
    EXPECT_NE(files.boot_id(), "");
  }
  EXPECT_EQ(count(), before);
}

TEST_F(PosixDisk, the_boot_is_named_by_a_uuid) {
  EXPECT_THAT(files.boot_id(), MatchesRegex("[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"));
}

TEST_F(PosixDisk, an_empty_directory_lists_nothing) { EXPECT_THAT(files.list(directory.path())->size(), 0U); }

}  // namespace
}  // namespace tidemark::storage
