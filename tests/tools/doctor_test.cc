#include "tools/tidemarkd/doctor.h"

#include <gmock/gmock.h>

namespace tidemark::tools {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kGibibyte = 1ull << 30;

/// A machine with nothing to complain about.
DoctorFacts healthy() {
  return {
      .machine = {.processors = 4, .memory_bytes = 16 * kGibibyte, .open_files_max = 20'000},
      .disk = DiskFacts{.file_system = "ext4", .rotational = false, .free_bytes = 90 * kGibibyte, .total_bytes = 100 * kGibibyte},
      .flush = FlushTime{.median = 900us, .worst = 3ms, .flushes = 40},
      .clock_synchronised = true,
      .now = std::chrono::sys_days(std::chrono::January / 2 / 2027),
      .memory_limit_bytes = 2 * kGibibyte,
      .disk_low_water_bytes = kGibibyte,
      .insecure_listen = false,
      .addresses = "native 127.0.0.1:7410",
      .read_only_reason = std::nullopt,
      .data_directory = "data",
      .version = "1.2.3",
  };
}

DoctorCheck check_of(const DoctorFacts& facts, std::string_view name) {
  for (DoctorCheck& check : examine(facts)) {
    if (check.check == name) return std::move(check);
  }
  ADD_FAILURE() << "no check " << name;
  return {};
}

TEST(Doctor, finds_nothing_wrong_with_a_healthy_machine) {
  std::vector<std::string> names;
  for (const DoctorCheck& check : examine(healthy())) {
    names.push_back(check.check);
    EXPECT_EQ(check.result, Verdict::ok) << check.check << ": " << check.value;
    EXPECT_EQ(check.advice, "") << check.check;
  }
  EXPECT_THAT(names, testing::ElementsAre("disk kind", "flush time", "free space", "fd limit", "memory limit", "clock", "ports",
                                          "file system", "lock", "version"));
}

TEST(Doctor, fails_a_file_system_in_memory) {
  DoctorFacts facts = healthy();
  facts.disk->file_system = "tmpfs";
  facts.disk->volatile_storage = true;
  EXPECT_EQ(check_of(facts, "file system").result, Verdict::fail);
  EXPECT_THAT(check_of(facts, "file system").advice, testing::HasSubstr("data.dir"));
}

TEST(Doctor, warns_before_the_disk_is_full_and_fails_when_appends_are_refused) {
  DoctorFacts facts = healthy();
  facts.disk->free_bytes = 3 * kGibibyte;
  EXPECT_EQ(check_of(facts, "free space").result, Verdict::warn);
  facts.disk->free_bytes = kGibibyte;
  EXPECT_EQ(check_of(facts, "free space").result, Verdict::fail);
}

TEST(Doctor, free_space_on_a_small_disk_is_judged_by_its_size) {
  DoctorFacts facts = healthy();
  facts.disk->total_bytes = 4 * kGibibyte;  // 5 % of it is less than disk.low.water.
  facts.disk->free_bytes = kGibibyte;
  EXPECT_EQ(check_of(facts, "free space").result, Verdict::ok);
}

TEST(Doctor, warns_of_slow_flushes) {
  DoctorFacts facts = healthy();
  facts.flush->median = 21ms;
  EXPECT_EQ(check_of(facts, "flush time").result, Verdict::warn);
}

TEST(Doctor, fails_what_cannot_be_measured) {
  DoctorFacts facts = healthy();
  facts.disk = Error{Errc::io_error, "data: gone"};
  facts.flush = Error{Errc::io_error, "data: gone"};
  for (const char* const name : {"disk kind", "flush time", "free space", "file system"}) {
    EXPECT_EQ(check_of(facts, name).result, Verdict::fail) << name;
    EXPECT_THAT(check_of(facts, name).value, testing::HasSubstr("data: gone")) << name;
  }
}

TEST(Doctor, warns_of_few_descriptors_too_much_memory_and_a_loose_clock) {
  DoctorFacts facts = healthy();
  facts.machine.open_files_max = 1024;
  facts.memory_limit_bytes = 15 * kGibibyte;
  facts.clock_synchronised = false;
  facts.insecure_listen = true;
  for (const char* const name : {"fd limit", "memory limit", "clock", "ports"}) {
    EXPECT_EQ(check_of(facts, name).result, Verdict::warn) << name;
    EXPECT_NE(check_of(facts, name).advice, "") << name;
  }
}

TEST(Doctor, fails_a_clock_before_this_program_was_written) {
  DoctorFacts facts = healthy();
  facts.now = std::chrono::sys_days(std::chrono::January / 1 / 1970);
  EXPECT_EQ(check_of(facts, "clock").result, Verdict::fail);
}

TEST(Doctor, shows_why_no_appends_are_taken) {
  DoctorFacts facts = healthy();
  facts.read_only_reason = "a flush failed";
  EXPECT_EQ(check_of(facts, "lock").result, Verdict::fail);
  EXPECT_THAT(check_of(facts, "lock").value, testing::HasSubstr("a flush failed"));
}

TEST(Machine, measures_the_flush_time_and_leaves_nothing_behind) {
  const Result<FlushTime> measured = measure_flush_time(testing::TempDir());
  ASSERT_TRUE(measured) << measured.error().to_string();
  EXPECT_GE(measured->flushes, 3u);
  EXPECT_LE(measured->median, measured->worst);
}

TEST(Machine, flush_time_of_a_missing_directory_is_an_error_that_names_it) {
  const Result<FlushTime> measured = measure_flush_time("no/such/directory");
  ASSERT_FALSE(measured);
  EXPECT_THAT(measured.error().detail, testing::HasSubstr("no/such/directory"));
}

TEST(Machine, inspects_the_disk_below_a_directory) {
  const Result<DiskFacts> disk = inspect_disk(".");
  ASSERT_TRUE(disk) << disk.error().to_string();
  EXPECT_NE(disk->file_system, "");
  EXPECT_GT(disk->total_bytes, disk->free_bytes);
}

}  // namespace
}  // namespace tidemark::tools
