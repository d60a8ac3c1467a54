#include "storage/data_directory.h"

#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/base/crc32c.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/crash_points.h"

namespace tidemark::storage {
namespace {

using simulation::crash_at_every_call;
using simulation::CrashPolicy;
using simulation::FaultEffect;
using simulation::SimulatedFileSystem;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr StateLogPosition kEnd{.file = 7, .position = {4711}};

Result<std::unique_ptr<DataDirectory>> open_directory(FileSystem& files, std::uint64_t seed = 1) {
  Random random(seed);
  return DataDirectory::open(files, "data", random);
}

TopicFile orders() {
  return {.name = "orders",
          .id = Uuid::from_random(1, 2),
          .partitions = 3,
          .config = {{"retention.ms", "1000"}, {"empty", ""}, {"retention.ms.note", std::string("nul \0 in it", 11)}}};
}

TopicFile invoices() { return {.name = "invoices", .id = Uuid::from_random(3, 4), .partitions = 1, .config = {}}; }

class DataDirectoryTest : public testing::Test {
 protected:
  void open() {
    directory_.reset();
    Result<std::unique_ptr<DataDirectory>> opened = open_directory(*disk_);
    ASSERT_TRUE(opened) << opened.error().to_string();
    directory_ = *std::move(opened);
  }
  void power_loss() {
    directory_.reset();
    disk_ = disk_->crash_clone(CrashPolicy::drop_all, 0);
  }
  /// A segment file in a partition, as the log makes them; and the state log that is always there before.
  void put_records(Uuid topic, std::int32_t partition) {
    disk_->plant("data/state/00000000000000000001.state", "state");
    disk_->plant(directory_->partition_directory(topic, partition) + "/00000000000000000000.log", "records");
  }
  void put_state() { disk_->plant("data/state/00000000000000000001.state", "state"); }
  Error open_error() {
    const auto opened = open_directory(*disk_);
    return opened ? Error{Errc::internal, "opened"} : opened.error();
  }

  std::unique_ptr<SimulatedFileSystem> disk_ = std::make_unique<SimulatedFileSystem>();
  std::unique_ptr<DataDirectory> directory_;
};

// --- Identity and who may use it.

TEST_F(DataDirectoryTest, is_made_when_missing) {
  open();
  EXPECT_FALSE(directory_->cluster_id().is_nil());
  EXPECT_TRUE(*disk_->exists("data/topics"));
}

TEST_F(DataDirectoryTest, is_made_in_an_empty_directory_of_a_disk_of_its_own) {
  disk_->plant("data/lost+found/x", "");
  ASSERT_TRUE(disk_->remove("data/lost+found/x"));
  open();
  EXPECT_FALSE(directory_->cluster_id().is_nil());
}

TEST_F(DataDirectoryTest, keeps_its_identity) {
  open();
  const Uuid id = directory_->cluster_id();
  power_loss();
  const auto again = open_directory(*disk_, 99);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->cluster_id(), id);
}

TEST_F(DataDirectoryTest, two_directories_have_two_identities) {
  open();
  SimulatedFileSystem other;
  const auto opened = open_directory(other, 2);
  ASSERT_TRUE(opened);
  EXPECT_NE((*opened)->cluster_id(), directory_->cluster_id());
}

TEST_F(DataDirectoryTest, has_one_user_at_a_time) {
  open();
  const Error error = open_error();
  EXPECT_EQ(error.code, Errc::locked);
  EXPECT_THAT(error.detail, HasSubstr("data is in use"));
  directory_.reset();
  open();
}

TEST_F(DataDirectoryTest, somebody_elses_directory_is_refused_and_left_alone) {
  for (const char* const name : {"data/thesis.tex", "data/cluster.txt", "data/state/x", "data/.hidden"}) {
    SimulatedFileSystem disk;
    disk.plant(name, "important");
    const auto tree = disk.tree();
    const auto opened = open_directory(disk);
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().code, Errc::foreign_data);
    EXPECT_THAT(opened.error().detail, HasSubstr("--data-dir"));
    EXPECT_EQ(disk.tree(), tree);
  }
}

TEST_F(DataDirectoryTest, of_a_newer_version_is_refused) {
  open();
  directory_.reset();
  std::string bytes = disk_->contents("data/cluster");
  bytes[8] = 2;
  ByteVector body(as_bytes(bytes).begin(), as_bytes(bytes).end() - 4);
  const std::uint32_t crc = crc32c(body);
  body.resize(body.size() + 4);
  store_le(body.data() + body.size() - 4, crc);
  disk_->plant("data/cluster", to_string(body));
  const Error error = open_error();
  EXPECT_EQ(error.code, Errc::foreign_data);
  EXPECT_THAT(error.detail, HasSubstr("data/cluster"));
  EXPECT_THAT(error.detail, HasSubstr("newer version"));
  EXPECT_EQ(disk_->contents("data/cluster"), to_string(body));
}

TEST_F(DataDirectoryTest, a_damaged_identity_is_an_error_and_never_replaced) {
  open();
  directory_.reset();
  const std::string whole = disk_->contents("data/cluster");
  for (std::uint64_t at = 0; at < whole.size(); ++at) {
    disk_->plant("data/cluster", whole);
    disk_->flip_bit("data/cluster", at, 5);
    const std::string damaged = disk_->contents("data/cluster");
    const Error error = open_error();
    ASSERT_EQ(error.code, Errc::corrupt_batch) << "byte " << at;
    ASSERT_THAT(error.detail, HasSubstr("data/cluster"));
    ASSERT_EQ(disk_->contents("data/cluster"), damaged);
  }
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    disk_->plant("data/cluster", whole.substr(0, bytes));
    ASSERT_EQ(open_error().code, Errc::corrupt_batch) << bytes << " bytes";
  }
}

TEST_F(DataDirectoryTest, topics_without_a_state_log_are_an_error) {
  open();
  ASSERT_TRUE(directory_->create_topic(orders()));
  directory_.reset();
  const Error error = open_error();
  EXPECT_EQ(error.code, Errc::corrupt_batch);
  EXPECT_THAT(error.detail, HasSubstr("data/state"));
  put_state();
  open();
}

TEST_F(DataDirectoryTest, is_inspected_while_in_use_without_a_trace) {
  open();
  put_records(orders().id, 0);
  ASSERT_TRUE(directory_->create_topic(invoices()));
  disk_->plant("data/topics/" + orders().id.to_string() + ".deleted/topic", "half removed");
  const std::uint64_t before = disk_->image_hash();
  const std::uint64_t calls = disk_->calls();
  const auto inspected = DataDirectory::inspect(*disk_, "data");
  ASSERT_TRUE(inspected);
  EXPECT_EQ((*inspected)->cluster_id(), directory_->cluster_id());
  const auto topic = (*inspected)->read_topic_file(invoices().id);
  ASSERT_TRUE(topic);
  EXPECT_EQ(*topic, invoices());
  EXPECT_EQ(disk_->image_hash(), before);
  EXPECT_EQ(disk_->calls(), calls);
}

TEST_F(DataDirectoryTest, inspection_of_something_else_is_refused) {
  const auto missing = DataDirectory::inspect(*disk_, "data");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  disk_->plant("data/thesis.tex", "important");
  EXPECT_FALSE(DataDirectory::inspect(*disk_, "data"));
}

TEST_F(DataDirectoryTest, a_full_disk_at_the_first_start_leaves_a_directory_that_can_be_opened_later) {
  disk_->set_capacity(0);
  EXPECT_EQ(open_error().code, Errc::disk_full);
  disk_->set_capacity(SimulatedFileSystem::kDefaultCapacity);
  open();
}

// --- Topics.

TEST_F(DataDirectoryTest, a_topic_file_says_what_was_written) {
  open();
  ASSERT_TRUE(directory_->create_topic(orders()));
  TopicFile changed = orders();
  changed.config.emplace_back("durability", "os");
  changed.partitions = 8;
  power_loss();
  put_state();
  open();
  EXPECT_EQ(*directory_->read_topic_file(orders().id), orders());
  ASSERT_TRUE(directory_->write_topic_file(changed));
  power_loss();
  open();
  EXPECT_EQ(*directory_->read_topic_file(orders().id), changed);
}

TEST_F(DataDirectoryTest, directories_are_named_by_id) {
  open();
  EXPECT_EQ(directory_->topic_directory(orders().id), "data/topics/" + orders().id.to_string());
  EXPECT_EQ(directory_->partition_directory(orders().id, 12), "data/topics/" + orders().id.to_string() + "/12");
}

TEST_F(DataDirectoryTest, lists_its_topics_and_nothing_else) {
  open();
  put_state();
  EXPECT_THAT(*directory_->list_topics(), IsEmpty());
  ASSERT_TRUE(directory_->create_topic(orders()));
  ASSERT_TRUE(directory_->create_topic(invoices()));
  disk_->plant("data/topics/README", "hello");
  disk_->plant("data/topics/not-a-uuid/x", "hello");
  EXPECT_THAT(*directory_->list_topics(), UnorderedElementsAre(orders().id, invoices().id));
}

TEST_F(DataDirectoryTest, knows_whether_a_topic_has_records) {
  open();
  ASSERT_TRUE(directory_->create_topic(orders()));
  EXPECT_FALSE(*directory_->topic_has_records(orders().id));
  put_records(orders().id, 2);
  EXPECT_TRUE(*directory_->topic_has_records(orders().id));
}

TEST_F(DataDirectoryTest, every_flipped_bit_of_a_topic_file_is_found) {
  open();
  ASSERT_TRUE(directory_->create_topic(orders()));
  const std::string path = directory_->topic_directory(orders().id) + "/topic";
  const std::string whole = disk_->contents(path);
  for (std::uint64_t at = 0; at < whole.size(); ++at) {
    disk_->plant(path, whole);
    disk_->flip_bit(path, at, static_cast<unsigned>(at % 8));
    const auto topic = directory_->read_topic_file(orders().id);
    ASSERT_FALSE(topic) << "byte " << at;
    ASSERT_EQ(topic.error().code, Errc::corrupt_batch);
    ASSERT_THAT(topic.error().detail, HasSubstr(path));
  }
}

TEST_F(DataDirectoryTest, the_topic_file_of_another_topic_is_found) {
  open();
  ASSERT_TRUE(directory_->create_topic(orders()));
  ASSERT_TRUE(directory_->create_topic(invoices()));
  disk_->plant(directory_->topic_directory(orders().id) + "/topic", disk_->contents(directory_->topic_directory(invoices().id) + "/topic"));
  const auto topic = directory_->read_topic_file(orders().id);
  ASSERT_FALSE(topic);
  EXPECT_EQ(topic.error().code, Errc::corrupt_batch);
}

TEST_F(DataDirectoryTest, a_missing_topic_file_is_not_found) {
  open();
  const auto topic = directory_->read_topic_file(orders().id);
  ASSERT_FALSE(topic);
  EXPECT_EQ(topic.error().code, Errc::not_found);
}

TEST_F(DataDirectoryTest, removes_a_topic_with_everything_in_it) {
  open();
  ASSERT_TRUE(directory_->create_topic(orders()));
  ASSERT_TRUE(directory_->create_topic(invoices()));
  put_records(orders().id, 0);
  put_records(orders().id, 1);
  ASSERT_TRUE(directory_->remove_topic(orders().id));
  ASSERT_TRUE(directory_->remove_topic(orders().id));  // Once more, as after a crash: no effect.
  power_loss();
  open();
  EXPECT_THAT(*directory_->list_topics(), ElementsAre(invoices().id));
  EXPECT_THAT(disk_->tree(), Not(Contains(HasSubstr(orders().id.to_string()))));
}

TEST_F(DataDirectoryTest, removes_at_the_start_only_what_it_set_aside_itself) {
  open();
  put_state();
  ASSERT_TRUE(directory_->create_topic(invoices()));
  disk_->plant("data/topics/.deleted/x", "hello");
  disk_->plant("data/topics/notes.deleted/x", "hello");
  disk_->plant("data/topics/" + orders().id.to_string() + ".deleted/0/x", "half removed");
  directory_.reset();
  open();
  EXPECT_EQ(*directory_->read_topic_file(invoices().id), invoices());
  EXPECT_TRUE(*disk_->exists("data/topics/.deleted/x"));
  EXPECT_TRUE(*disk_->exists("data/topics/notes.deleted/x"));
  EXPECT_THAT(disk_->tree(), Not(Contains(HasSubstr(orders().id.to_string()))));
}

TEST_F(DataDirectoryTest, a_failed_creation_leaves_no_topic) {
  for (std::uint64_t call = 1;; ++call) {
    SimulatedFileSystem disk;
    auto directory = open_directory(disk);
    ASSERT_TRUE(directory);
    disk.fail_call(disk.calls() + call, FaultEffect::disk_full);
    const Status created = (*directory)->create_topic(orders());
    if (created) {
      EXPECT_GT(call, 4U);  // All calls of the creation have failed once.
      break;
    }
    ASSERT_THAT(*(*directory)->list_topics(), IsEmpty()) << "call " << call;
    ASSERT_TRUE((*directory)->create_topic(orders()));
  }
}

// --- The clean marker.

TEST_F(DataDirectoryTest, a_clean_marker_is_taken_once) {
  open();
  EXPECT_EQ(*directory_->take_clean_marker(), std::nullopt);
  ASSERT_TRUE(directory_->write_clean_marker(kEnd));
  power_loss();
  open();
  EXPECT_EQ(*directory_->read_clean_marker(), kEnd);
  EXPECT_EQ(*directory_->take_clean_marker(), kEnd);
  power_loss();
  open();
  EXPECT_EQ(*directory_->take_clean_marker(), std::nullopt);
}

TEST_F(DataDirectoryTest, a_damaged_marker_is_no_marker_and_is_removed) {
  open();
  ASSERT_TRUE(directory_->write_clean_marker(kEnd));
  const std::string whole = disk_->contents("data/clean");
  for (std::uint64_t at = 0; at < whole.size(); ++at) {
    disk_->plant("data/clean", whole);
    disk_->flip_bit("data/clean", at, static_cast<unsigned>(at % 8));
    ASSERT_EQ(*directory_->take_clean_marker(), std::nullopt) << "byte " << at;
    ASSERT_FALSE(*disk_->exists("data/clean"));
  }
}

TEST_F(DataDirectoryTest, a_marker_that_cannot_be_removed_is_an_error) {
  open();
  ASSERT_TRUE(directory_->write_clean_marker(kEnd));
  disk_->add_fault({.op = "sync_directory"});
  EXPECT_EQ(directory_->take_clean_marker().error().code, Errc::io_error);
}

// --- Crashes at every call.

TEST(DataDirectoryCrash, in_the_first_creation) {
  SimulatedFileSystem disk;
  std::optional<Uuid> known;
  const std::uint64_t states = crash_at_every_call(
      disk, 8,
      [&] {
        const auto opened = open_directory(disk);
        ASSERT_TRUE(opened);
        known = (*opened)->cluster_id();
      },
      [&](SimulatedFileSystem& crashed) {
        Uuid id;
        {
          const auto opened = open_directory(crashed, 2);
          ASSERT_TRUE(opened) << opened.error().to_string();
          id = (*opened)->cluster_id();
          if (known) ASSERT_EQ(id, *known);
          ASSERT_TRUE((*opened)->create_topic(orders()));
        }
        // Whatever was there before: an identity once shown is durable, and so is what was put under it.
        const auto again = crashed.crash_clone(CrashPolicy::drop_all, 0);
        ASSERT_TRUE(*again->exists("data/topics/" + orders().id.to_string() + "/topic"));
        again->plant("data/state/00000000000000000001.state", "state");
        const auto opened = open_directory(*again, 3);
        ASSERT_TRUE(opened) << opened.error().to_string();
        ASSERT_EQ((*opened)->cluster_id(), id);
      });
  std::cout << states << " crash states\n";
  EXPECT_GT(states, 80U);
}

class TopicCrash : public testing::Test {
 protected:
  TopicCrash() {
    auto opened = open_directory(disk_);
    EXPECT_TRUE(opened);
    directory_ = *std::move(opened);
    disk_.plant("data/state/00000000000000000001.state", "state");
    EXPECT_TRUE(directory_->create_topic(invoices()));
  }
  void crash_everywhere(const std::function<void()>& work, const std::function<void(DataDirectory&, SimulatedFileSystem&)>& check) {
    const std::uint64_t states = crash_at_every_call(disk_, 8, work, [&](SimulatedFileSystem& crashed) {
      for (int start = 0; start < 2; ++start) {
        const auto opened = open_directory(crashed);
        ASSERT_TRUE(opened) << opened.error().to_string();
        const auto untouched = (*opened)->read_topic_file(invoices().id);
        ASSERT_TRUE(untouched) << untouched.error().to_string();
        ASSERT_EQ(*untouched, invoices());
        ASSERT_THAT(crashed.tree(), Not(Contains(EndsWith(".deleted/"))));
        check(**opened, crashed);
      }
    });
    std::cout << states << " crash states\n";
    EXPECT_GT(states, 60U);
  }

  SimulatedFileSystem disk_;
  std::unique_ptr<DataDirectory> directory_;
};

TEST_F(TopicCrash, in_the_creation_of_a_topic) {
  bool done = false;
  crash_everywhere(
      [&] {
        ASSERT_TRUE(directory_->create_topic(orders()));
        done = true;
      },
      [&](DataDirectory& directory, SimulatedFileSystem&) {
        const auto topic = directory.read_topic_file(orders().id);
        if (done) ASSERT_TRUE(topic) << topic.error().to_string();
        if (topic) {
          ASSERT_EQ(*topic, orders());
        } else {
          ASSERT_EQ(topic.error().code, Errc::not_found);
        }
        // Nobody knows of the topic unless its creation was done; then the directory can go.
        if (!done) {
          ASSERT_TRUE(directory.remove_topic(orders().id));
          ASSERT_THAT(*directory.list_topics(), ElementsAre(invoices().id));
        }
      });
}

TEST_F(TopicCrash, in_the_change_of_a_topic_file) {
  ASSERT_TRUE(directory_->create_topic(orders()));
  TopicFile changed = orders();
  changed.config = {{"durability", "os"}};
  bool done = false;
  crash_everywhere(
      [&] {
        ASSERT_TRUE(directory_->write_topic_file(changed));
        done = true;
      },
      [&](DataDirectory& directory, SimulatedFileSystem&) {
        const auto topic = directory.read_topic_file(orders().id);
        ASSERT_TRUE(topic) << topic.error().to_string();
        ASSERT_TRUE(*topic == changed || (!done && *topic == orders()));
      });
}

TEST_F(TopicCrash, in_the_removal_of_a_topic) {
  ASSERT_TRUE(directory_->create_topic(orders()));
  for (const char* const file : {"/0/00000000000000000000.log", "/0/00000000000000000000.idx", "/1/00000000000000000000.log"})
    disk_.plant(directory_->topic_directory(orders().id) + file, "records");
  bool done = false;
  crash_everywhere(
      [&] {
        ASSERT_TRUE(directory_->remove_topic(orders().id));
        done = true;
      },
      [&](DataDirectory& directory, SimulatedFileSystem& crashed) {
        // Whole or gone, never a topic that lost some of its files.
        const auto topics = directory.list_topics();
        ASSERT_TRUE(topics);
        if (topics->size() == 1) return;
        ASSERT_FALSE(done);
        const auto topic = directory.read_topic_file(orders().id);
        ASSERT_TRUE(topic) << topic.error().to_string();
        ASSERT_EQ(*topic, orders());
        for (const std::int32_t partition : {0, 1}) {
          const std::string log = directory.partition_directory(orders().id, partition) + "/00000000000000000000.log";
          ASSERT_TRUE(*crashed.exists(log)) << log;
        }
        ASSERT_TRUE(directory.remove_topic(orders().id));
      });
}

TEST(CleanMarkerCrash, a_marker_never_outlives_the_write_after_it) {
  SimulatedFileSystem disk;
  auto directory = open_directory(disk);
  ASSERT_TRUE(directory);
  enum class Stage { running, stopping, stopped, starting, started } stage = Stage::running;
  const auto check = [&stage](SimulatedFileSystem& crashed) {
    const auto opened = open_directory(crashed);
    ASSERT_TRUE(opened) << opened.error().to_string();
    const auto marker = (*opened)->take_clean_marker();
    ASSERT_TRUE(marker) << marker.error().to_string();
    if (*marker) ASSERT_EQ(**marker, kEnd);
    if (stage == Stage::stopped) ASSERT_TRUE(marker->has_value());
    if (stage == Stage::running || stage == Stage::started) ASSERT_FALSE(marker->has_value());
    // And it stays away, also when the power fails right behind.
    const auto again = crashed.crash_clone(CrashPolicy::drop_all, 0);
    const auto reopened = open_directory(*again);
    ASSERT_TRUE(reopened);
    ASSERT_EQ(*(*reopened)->take_clean_marker(), std::nullopt);
  };
  const auto write_something = [&disk] {
    const auto file = disk.open("data/appended", OpenMode::create);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->sync());
  };
  const std::uint64_t states = crash_at_every_call(
      disk, 8,
      [&] {
        for (int round = 0; round < 2; ++round) {
          write_something();
          stage = Stage::stopping;
          ASSERT_TRUE((*directory)->write_clean_marker(kEnd));
          stage = Stage::stopped;
          write_something();  // Any call: the marker is durable before it.
          stage = Stage::starting;
          ASSERT_EQ(*(*directory)->take_clean_marker(), kEnd);
          stage = Stage::started;
          write_something();  // The first append of the next run.
        }
      },
      check);
  std::cout << states << " crash states\n";
  EXPECT_GT(states, 100U);
}

}  // namespace
}  // namespace tidemark::storage
