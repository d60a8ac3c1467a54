#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/file_system.h"
#include "storage/posix_file_system.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/temporary_directory.h"

/// What storage/file_system.h promises, asked of both implementations: recovery is proven on the simulated disk, so the two must agree.
namespace tidemark::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Posix {
  PosixFileSystem files;
  TemporaryDirectory directory;
  std::string path(const std::string& name) const { return directory.path() + "/" + name; }
};

struct Simulated {
  Simulated() { CHECK(files.create_directory("/data")); }
  simulation::SimulatedFileSystem files;
  std::string path(const std::string& name) const { return "/data/" + name; }
};

template <class Implementation>
class FileSystemContract : public testing::Test {
 protected:
  FileSystem& files() { return implementation_.files; }
  std::string path(const std::string& name) const { return implementation_.path(name); }
  std::string root() const { return parent_directory(path("x")); }

  std::unique_ptr<File> create(const std::string& name, std::string_view bytes = {}) {
    Result<std::unique_ptr<File>> file = files().open(path(name), OpenMode::create);
    CHECK(file);
    CHECK(write(**file, 0, {bytes}));
    return *std::move(file);
  }
  static Status write(File& file, std::uint64_t at, std::vector<std::string_view> texts) {
    std::vector<ByteView> parts;
    for (const std::string_view text : texts) parts.push_back(as_bytes(text));
    return file.write(FilePosition{at}, parts);
  }
  static std::string read(File& file, std::uint64_t at, std::size_t count) {
    std::string bytes(count, '?');
    const Result<std::size_t> filled = file.read(FilePosition{at}, std::as_writable_bytes(std::span(bytes)));
    CHECK(filled);
    return bytes.substr(0, *filled);
  }
  std::vector<std::string> names() {
    const Result<std::vector<DirectoryEntry>> entries = files().list(root());
    CHECK(entries);
    std::vector<std::string> found;
    for (const DirectoryEntry& entry : *entries) found.push_back(entry.name + (entry.is_directory ? "/" : ""));
    return found;
  }
  /// The call failed with this code and says on which file.
  template <class T>
  void expect_error(const Result<T>& result, Errc code, const std::string& name) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().to_string();
    EXPECT_THAT(result.error().detail, HasSubstr(path(name)));
  }

 private:
  Implementation implementation_;
};

using Implementations = testing::Types<Posix, Simulated>;
TYPED_TEST_SUITE(FileSystemContract, Implementations);

TYPED_TEST(FileSystemContract, reads_back_what_was_written_and_stops_at_the_end) {
  const auto file = this->create("f", "0123456789");
  EXPECT_EQ(this->read(*file, 2, 3), "234");
  EXPECT_EQ(this->read(*file, 8, 10), "89");
  EXPECT_EQ(this->read(*file, 10, 1), "");
  EXPECT_EQ(this->read(*file, 1000, 1), "");
  EXPECT_EQ(*file->size(), 10U);
  EXPECT_EQ(*this->files().file_size(this->path("f")), 10U);
  EXPECT_EQ(file->path(), this->path("f"));
}

TYPED_TEST(FileSystemContract, writes_parts_one_after_another_empty_ones_included) {
  const auto file = this->create("f");
  ASSERT_TRUE(this->write(*file, 2, {"", "ab", "", "c", ""}));
  EXPECT_EQ(this->read(*file, 0, 9), std::string("\0\0abc", 5));
}

TYPED_TEST(FileSystemContract, writes_more_parts_than_one_call_takes) {
  const auto file = this->create("f");
  std::string expected;
  std::vector<std::string> numbers;
  for (int i = 0; i < 3000; ++i) numbers.push_back(std::to_string(i));
  for (const std::string& number : numbers) expected += number;
  ASSERT_TRUE(this->write(*file, 0, std::vector<std::string_view>(numbers.begin(), numbers.end())));
  EXPECT_EQ(this->read(*file, 0, expected.size() + 1), expected);
}

TYPED_TEST(FileSystemContract, writes_across_pages_and_overwrites_in_the_middle) {
  const auto file = this->create("f", std::string(20'000, 'a'));
  ASSERT_TRUE(this->write(*file, 4'000, {std::string(5'000, 'b')}));
  EXPECT_EQ(this->read(*file, 0, 30'000), std::string(4'000, 'a') + std::string(5'000, 'b') + std::string(11'000, 'a'));
}

TYPED_TEST(FileSystemContract, truncates_and_extends_with_zeros) {
  const auto file = this->create("f", "abcdef");
  ASSERT_TRUE(file->truncate(2));
  EXPECT_EQ(*file->size(), 2U);
  ASSERT_TRUE(file->truncate(4));
  EXPECT_EQ(this->read(*file, 0, 9), std::string("ab\0\0", 4));
}

TYPED_TEST(FileSystemContract, reserving_keeps_size_and_bytes) {
  const auto file = this->create("f", "abc");
  ASSERT_TRUE(file->reserve(1 << 20));
  ASSERT_TRUE(file->reserve(0));
  EXPECT_EQ(*file->size(), 3U);
  EXPECT_EQ(this->read(*file, 0, 9), "abc");
}

TYPED_TEST(FileSystemContract, a_reservation_larger_than_the_disk_is_refused_and_takes_nothing) {
  const auto file = this->create("f", "abc");
  const std::uint64_t total = this->files().space(this->root())->total_bytes;
  this->expect_error(file->reserve(total * 2), Errc::disk_full, "f");
  EXPECT_EQ(*file->size(), 3U);
  EXPECT_TRUE(file->reserve(1 << 20));
}

TYPED_TEST(FileSystemContract, syncs_files_names_and_everything) {
  const auto file = this->create("f", "abc");
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(this->files().sync_directory(this->root()));
  EXPECT_TRUE(this->files().sync_all(*file));
  file->drop_cache();
  EXPECT_EQ(this->read(*file, 0, 3), "abc");
}

TYPED_TEST(FileSystemContract, opens_by_mode) {
  this->expect_error(this->files().open(this->path("f"), OpenMode::read), Errc::not_found, "f");
  this->expect_error(this->files().open(this->path("f"), OpenMode::read_write), Errc::not_found, "f");
  ASSERT_TRUE(this->files().open(this->path("f"), OpenMode::create_new));
  this->expect_error(this->files().open(this->path("f"), OpenMode::create_new), Errc::conflict, "f");
  ASSERT_TRUE(this->write(**this->files().open(this->path("f"), OpenMode::create), 0, {"abc"}));
  ASSERT_TRUE(this->write(**this->files().open(this->path("f"), OpenMode::read_write), 0, {"A"}));
  EXPECT_EQ(this->read(**this->files().open(this->path("f"), OpenMode::read), 0, 9), "Abc");
}

TYPED_TEST(FileSystemContract, a_file_opened_for_reading_refuses_changes) {
  this->create("f", "abc");
  const auto file = *this->files().open(this->path("f"), OpenMode::read);
  this->expect_error(this->write(*file, 0, {"x"}), Errc::io_error, "f");
  EXPECT_FALSE(file->truncate(0));
  EXPECT_EQ(this->read(*file, 0, 3), "abc");
}

TYPED_TEST(FileSystemContract, a_missing_parent_is_not_found) {
  this->expect_error(this->files().open(this->path("d/f"), OpenMode::create), Errc::not_found, "d/f");
  this->expect_error(this->files().create_directory(this->path("d/e")), Errc::not_found, "d/e");
  this->expect_error(this->files().sync_directory(this->path("d")), Errc::not_found, "d");
  this->expect_error(this->files().list(this->path("d")), Errc::not_found, "d");
  EXPECT_FALSE(*this->files().exists(this->path("d/f")));
}

TYPED_TEST(FileSystemContract, directories_are_made_listed_and_removed_when_empty) {
  ASSERT_TRUE(this->files().create_directory(this->path("d")));
  this->expect_error(this->files().create_directory(this->path("d")), Errc::conflict, "d");
  this->create("d/f");
  this->create("c");
  EXPECT_THAT(this->names(), ElementsAre("c", "d/"));
  this->expect_error(this->files().remove_directory(this->path("d")), Errc::conflict, "d");
  ASSERT_TRUE(this->files().remove(this->path("d/f")));
  ASSERT_TRUE(this->files().remove_directory(this->path("d")));
  this->expect_error(this->files().remove_directory(this->path("d")), Errc::not_found, "d");
  EXPECT_THAT(this->names(), ElementsAre("c"));
}

TYPED_TEST(FileSystemContract, a_directory_is_no_file) {
  ASSERT_TRUE(this->files().create_directory(this->path("d")));
  this->expect_error(this->files().open(this->path("d"), OpenMode::read), Errc::io_error, "d");
  EXPECT_FALSE(this->files().remove(this->path("d")));
  EXPECT_THAT(this->names(), ElementsAre("d/"));
}

TYPED_TEST(FileSystemContract, a_removed_file_is_gone_and_its_handle_goes_on) {
  const auto file = this->create("f", "abc");
  ASSERT_TRUE(this->files().remove(this->path("f")));
  this->expect_error(this->files().remove(this->path("f")), Errc::not_found, "f");
  EXPECT_FALSE(*this->files().exists(this->path("f")));
  EXPECT_EQ(this->read(*file, 0, 3), "abc");
}

TYPED_TEST(FileSystemContract, rename_replaces_the_target_and_keeps_open_handles) {
  const auto moved = this->create("a", "new");
  const auto replaced = this->create("b", "old");
  ASSERT_TRUE(this->files().rename(this->path("a"), this->path("b")));
  EXPECT_THAT(this->names(), ElementsAre("b"));
  EXPECT_EQ(this->read(**this->files().open(this->path("b"), OpenMode::read), 0, 9), "new");
  EXPECT_EQ(this->read(*replaced, 0, 9), "old");
  EXPECT_EQ(this->read(*moved, 0, 9), "new");
  this->expect_error(this->files().rename(this->path("a"), this->path("b")), Errc::not_found, "a");
}

TYPED_TEST(FileSystemContract, a_directory_is_renamed_with_its_files) {
  ASSERT_TRUE(this->files().create_directory(this->path("d")));
  this->create("d/f", "abc");
  ASSERT_TRUE(this->files().rename(this->path("d"), this->path("e")));
  EXPECT_EQ(*this->files().file_size(this->path("e/f")), 3U);
  EXPECT_FALSE(*this->files().exists(this->path("d")));
}

TYPED_TEST(FileSystemContract, a_lock_is_held_once_and_until_it_is_dropped) {
  Result<std::unique_ptr<FileLock>> held = this->files().lock(this->path("lock"));
  ASSERT_TRUE(held);
  this->expect_error(this->files().lock(this->path("lock")), Errc::locked, "lock");
  EXPECT_TRUE(this->files().open(this->path("lock"), OpenMode::read));  // Opening and closing the file does not drop it.
  this->expect_error(this->files().lock(this->path("lock")), Errc::locked, "lock");
  held->reset();
  EXPECT_TRUE(this->files().lock(this->path("lock")));
}

TYPED_TEST(FileSystemContract, the_boot_has_one_name) {
  EXPECT_NE(this->files().boot_id(), "");
  EXPECT_EQ(this->files().boot_id(), this->files().boot_id());
}

TYPED_TEST(FileSystemContract, space_is_free_up_to_the_total) {
  const Result<SpaceInfo> space = this->files().space(this->root());
  ASSERT_TRUE(space);
  EXPECT_GT(space->free_bytes, 0U);
  EXPECT_GE(space->total_bytes, space->free_bytes);
  EXPECT_EQ(this->files().space(this->path("missing")).error().code, Errc::not_found);
}

TYPED_TEST(FileSystemContract, a_small_file_is_read_whole_up_to_its_bound) {
  this->create("f", "abc");
  EXPECT_EQ(to_string(*read_file(this->files(), this->path("f"), 3)), "abc");
  this->expect_error(read_file(this->files(), this->path("f"), 2), Errc::io_error, "f");
  this->expect_error(read_file(this->files(), this->path("g"), 2), Errc::not_found, "g");
}

TYPED_TEST(FileSystemContract, a_replaced_file_has_the_new_contents_and_leaves_no_other_file) {
  ASSERT_TRUE(replace_file(this->files(), this->path("f"), as_bytes("one")));
  ASSERT_TRUE(replace_file(this->files(), this->path("f"), as_bytes("two")));
  this->create("f.tmp", "left by a crash, and longer");
  ASSERT_TRUE(replace_file(this->files(), this->path("f"), as_bytes("3")));
  EXPECT_EQ(to_string(*read_file(this->files(), this->path("f"), 100)), "3");
  EXPECT_THAT(this->names(), ElementsAre("f"));
}

}  // namespace
}  // namespace tidemark::storage
