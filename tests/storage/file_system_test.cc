#include "storage/file_system.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/simulation/simulated_file_system.h"

namespace tidemark::storage {
namespace {

using simulation::CrashPolicy;
using simulation::FaultEffect;
using simulation::SimulatedFileSystem;
using testing::ElementsAre;

const std::string kOld(700, 'o');
const std::string kNew(1300, 'n');
constexpr std::uint64_t kSeeds = 200;

struct Parent {
  const char* name;
  const char* path;
  const char* parent;
};
void PrintTo(const Parent& parent, std::ostream* out) { *out << parent.path; }

class ParentDirectory : public testing::TestWithParam<Parent> {};
TEST_P(ParentDirectory, is_the_path_without_its_last_part) { EXPECT_EQ(parent_directory(GetParam().path), GetParam().parent); }
INSTANTIATE_TEST_SUITE_P(, ParentDirectory,
                         testing::Values(Parent{"nested", "/a/b/c", "/a/b"}, Parent{"top", "/a", "/"}, Parent{"relative", "a/b", "a"},
                                         Parent{"bare", "a", "."}, Parent{"trailing_slash", "a/b/", "a"}, Parent{"root", "/", "/"},
                                         Parent{"double_slash", "/a//b", "/a"}, Parent{"empty", "", "."}),
                         [](const auto& test_case) { return test_case.param.name; });

class ReplaceFile : public testing::Test {
 protected:
  void SetUp() override { disk.plant("d/f", kOld); }

  SimulatedFileSystem disk;
};

TEST_F(ReplaceFile, leaves_the_old_or_the_new_contents_when_power_fails_at_any_call) {
  std::set<std::string> found;
  std::set<std::uint64_t> images;
  const auto recover = [&](const SimulatedFileSystem& crashed) {
    images.insert(crashed.image_hash());
    const std::string contents = crashed.contents("d/f");
    EXPECT_TRUE(contents == kOld || contents == kNew) << contents.size() << " bytes";
    found.insert(contents);
  };
  const auto crash = [&] {
    recover(*disk.crash_clone(CrashPolicy::drop_all, 0));
    recover(*disk.crash_clone(CrashPolicy::keep_all, 0));
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) recover(*disk.crash_clone(CrashPolicy::random, seed));
  };
  disk.on_call([&](std::uint64_t, std::string_view, const std::string&) { crash(); });
  ASSERT_TRUE(replace_file(disk, "d/f", as_bytes(kNew)));
  crash();
  EXPECT_EQ(found, (std::set<std::string>{kOld, kNew}));
  EXPECT_GT(images.size(), 20U);
  EXPECT_EQ(disk.crash_clone(CrashPolicy::drop_all, 0)->contents("d/f"), kNew);
}

TEST_F(ReplaceFile, works_on_every_disk_that_a_crash_of_itself_left) {
  const std::string last(100, 'l');
  std::vector<std::unique_ptr<SimulatedFileSystem>> crashed;
  disk.on_call([&](std::uint64_t, std::string_view, const std::string&) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) crashed.push_back(disk.crash_clone(CrashPolicy::random, seed));
  });
  ASSERT_TRUE(replace_file(disk, "d/f", as_bytes(kNew)));
  for (const auto& after : crashed) {
    const std::string before = after->contents("d/f");
    after->on_call([&](std::uint64_t, std::string_view, const std::string&) {
      for (std::uint64_t seed = 0; seed < 4; ++seed) {
        const std::string contents = after->crash_clone(CrashPolicy::random, seed)->contents("d/f");
        EXPECT_TRUE(contents == before || contents == last);
      }
    });
    ASSERT_TRUE(replace_file(*after, "d/f", as_bytes(last)));
    EXPECT_EQ(after->crash_clone(CrashPolicy::drop_all, 0)->contents("d/f"), last);
    EXPECT_THAT(after->tree(), ElementsAre("d/", "d/f"));
  }
}

TEST_F(ReplaceFile, reports_the_failure_of_any_call_and_leaves_the_old_or_the_new_contents) {
  const auto intact = disk.process_crash_clone();
  ASSERT_TRUE(replace_file(*intact, "d/f", as_bytes(kNew)));
  const std::uint64_t calls = intact->calls();
  ASSERT_GE(calls, 5U);  // Create, write, sync, rename, sync of the directory.
  for (const FaultEffect effect : {FaultEffect::io_error, FaultEffect::disk_full, FaultEffect::short_write_disk_full}) {
    for (std::uint64_t call = 1; call <= calls; ++call) {
      const auto failing = disk.process_crash_clone();
      failing->fail_call(call, effect);
      const Status replaced = replace_file(*failing, "d/f", as_bytes(kNew));
      ASSERT_FALSE(replaced) << "call " << call;
      EXPECT_EQ(replaced.error().code, effect == FaultEffect::io_error ? Errc::io_error : Errc::disk_full);
      EXPECT_EQ(failing->contents("d/f"), call < calls ? kOld : kNew) << "call " << call;
      EXPECT_THAT(failing->tree(), ElementsAre("d/", "d/f"));
      EXPECT_EQ(failing->crash_clone(CrashPolicy::drop_all, 0)->contents("d/f"), kOld);
    }
  }
}

TEST_F(ReplaceFile, gives_the_space_back_when_the_disk_is_full) {
  disk.set_capacity(kOld.size() + kNew.size() / 2);
  EXPECT_EQ(replace_file(disk, "d/f", as_bytes(kNew)).error().code, Errc::disk_full);
  EXPECT_EQ(disk.contents("d/f"), kOld);
  EXPECT_EQ(disk.space("/")->free_bytes, kNew.size() / 2);
}

}  // namespace
}  // namespace tidemark::storage
