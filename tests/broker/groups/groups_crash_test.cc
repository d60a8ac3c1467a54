#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <unordered_set>

#include "tests/broker/groups/groups_fixture.h"

/// Power fails at every file-system call of a script in which groups do everything they can do. Whatever the disk then holds, the groups
/// are as they were before the operation under way or as they are after it: what was answered is there, what was not asked is not.
namespace tidemark::broker {
namespace {

constexpr std::uint64_t kRandomImages = 4;
constexpr std::int32_t kWidePartitions = 40;

/// All that can be seen of the groups, but for what a restart may change: who was heard of when, and who was told.
std::string view_of(Engine& engine) {
  GroupCalls groups(engine);
  std::ostringstream view;
  const auto partitions = [&](const char* what, const std::vector<NamedPartition>& all) {
    view << ' ' << what;
    for (const NamedPartition& where : all) view << ' ' << where.topic << ':' << where.partition;
  };
  for (const std::string& name : groups.names()) {
    const auto info = groups.describe(name);
    if (!info) continue;
    view << "group " << name << " epoch " << info->epoch << " start " << static_cast<int>(info->start.kind) << ' ' << info->start.value
         << " skipped " << info->skipped_records;
    for (const auto& [key, value] : info->settings) view << ' ' << key << '=' << value;
    for (const MemberInfo& member : info->members) {
      view << "\n  member " << member.member << " epoch " << member.epoch;
      partitions("holds", member.partitions);
      partitions("gives up", member.revoking);
    }
    const auto committed = groups.committed_in(name);
    EXPECT_TRUE(committed);
    if (!committed) continue;
    for (const Groups::Committed& one : *committed) {
      view << "\n  " << one.where.topic << ':' << one.where.partition << " at " << one.committed->offset.value << " '"
           << one.committed->metadata.substr(0, 4) << "' of " << one.committed->metadata.size();
    }
    for (const SeekRecord& seek : groups.history(name)) {
      view << "\n  seek " << seek.id << ' ' << seek.target << " undid " << seek.undid.value_or(0) << " undone " << seek.undone.value_or(0)
           << " rows " << seek.rows.size();
    }
    view << '\n';
  }
  return view.str();
}

class GroupsCrash : public GroupsTest {
 protected:
  /// One operation, its answer, and every image in between.
  void step(const std::string& what, const std::function<void()>& operation) {
    if (HasFatalFailure()) return;
    SCOPED_TRACE(what);
    const std::string before = view_of(*engine_);
    std::vector<std::unique_ptr<SimulatedFileSystem>> images;
    disk_->on_call([&](std::uint64_t call, std::string_view, const std::string&) {
      images.push_back(disk_->crash_clone(CrashPolicy::drop_all, 0));
      images.push_back(disk_->crash_clone(CrashPolicy::keep_all, 0));
      for (std::uint64_t i = 0; i < kRandomImages; ++i) {
        images.push_back(disk_->crash_clone(CrashPolicy::random, seed_ * 1'000'003 + call * 7919 + i));
      }
    });
    operation();
    disk_->on_call(nullptr);
    const auto answered = disk_->crash_clone(CrashPolicy::drop_all, 0);
    engine_->runtime().run();
    ASSERT_FALSE(engine_->fatal()) << engine_->fatal()->to_string();
    const std::string after = view_of(*engine_);
    EXPECT_NE(before, after) << "nothing happened";
    changed_ += before != after ? 1 : 0;
    for (const auto& image : images) examine(*image, {before, after});
    examine(*answered, {after});
  }

  void examine(SimulatedFileSystem& image, const std::vector<std::string>& allowed) {
    if (HasFatalFailure()) return;
    ++images_;
    if (allowed.size() > 1 && !seen_.insert(image.image_hash()).second) return;
    ++distinct_;
    for (int start = 0; start < 2; ++start) {
      Engine engine(image);
      const Status opened = engine.open();
      ASSERT_TRUE(opened) << opened.error().to_string();
      ASSERT_THAT(allowed, testing::Contains(view_of(engine)));
    }
  }

  void commit(const std::string& group, std::vector<CommitRequest::Entry> entries, const std::string& member = "", std::int32_t epoch = 0) {
    const auto reply = groups().commit({.group = group, .member = member, .epoch = epoch, .instance = {}, .entries = std::move(entries)});
    ASSERT_TRUE(reply) << reply.error().to_string();
  }
  HeartbeatReply heartbeat(const HeartbeatRequest& request) {
    const auto reply = groups().heartbeat(request);
    EXPECT_TRUE(reply) << reply.error().to_string();
    return reply ? *reply : HeartbeatReply{};
  }

  const std::uint64_t seed_ = std::getenv("TIDEMARK_SEED") != nullptr ? std::strtoull(std::getenv("TIDEMARK_SEED"), nullptr, 10) : 1;
  std::unordered_set<std::uint64_t> seen_;
  std::size_t images_ = 0, distinct_ = 0, changed_ = 0;
};

TEST_F(GroupsCrash, at_every_call_of_every_operation_leaves_it_done_or_not_begun) {
  ASSERT_TRUE(engine_->create("u", 1));
  ASSERT_TRUE(engine_->create("wide", kWidePartitions));
  append("t", 0, 10);
  append("t", 1, 10);

  step("first commit", [&] { commit("g", {at("t", 0, 3, "meta")}); });
  step("commit of several, one refused", [&] { commit("g", {at("t", 0, 4), at("t", 1, 99), at("t", 1, 5)}); });
  step("create", [&] { ASSERT_TRUE(groups().create({.name = "c", .topics = {"t"}, .start = {}, .settings = {{"on.gone", "fail"}}})); });
  step("alter", [&] { ASSERT_TRUE(groups().alter("c", {{"on.gone", "latest"}, {"lag.objective", "5m"}})); });

  HeartbeatReply a, b;
  step("first member", [&] { a = heartbeat(GroupCalls::joining("m", "a", {"t"})); });
  step("second member", [&] { b = heartbeat(GroupCalls::joining("m", "b", {"t"})); });
  const HeartbeatReply told = heartbeat(GroupCalls::renewal("m", "a", a.epoch));
  ASSERT_TRUE(told.assignment);
  step("giving up", [&] {
    HeartbeatRequest request = GroupCalls::renewal("m", "a", told.epoch);
    request.owned = told.assignment;
    a = heartbeat(request);
  });
  b = heartbeat(GroupCalls::renewal("m", "b", b.epoch));  // Told what it holds: not to be seen from outside.
  ASSERT_EQ(b.assignment->size(), 1u);
  step("commit of a member", [&] { commit("m", {at("t", b.assignment->at(0).partition, 7)}, "b", b.epoch); });

  step("seek", [&] { ASSERT_TRUE(groups().seek(GroupCalls::seek_request("g", SeekTarget::Kind::earliest))); });
  step("undo", [&] { ASSERT_TRUE(groups().undo("g")); });
  ASSERT_TRUE(engine_->trim("t", 0, Offset{8}));
  step("a position that is gone", [&] { ASSERT_TRUE(groups().position("g", "t", 0)); });
  step("forget", [&] {
    ASSERT_TRUE(groups().ask<std::vector<Status>>([](Groups& all, auto done) { all.forget({}, "g", {{"t", 1}}, std::move(done)); }));
  });
  step("forced seek", [&] {
    SeekRequest request = GroupCalls::seek_request("m", SeekTarget::Kind::latest);
    request.force = true;
    ASSERT_TRUE(groups().seek(request));
  });

  step("member again", [&] { a = heartbeat(GroupCalls::joining("m", "a", {"t"})); });
  step("growth of its topic", [&] { add_partitions("t", 3); });
  step("another member", [&] { heartbeat(GroupCalls::joining("m", "c", {"t"})); });
  step("leave", [&] { ASSERT_TRUE(groups().leave("m", "c")); });
  step("end of a session", [&] { engine_->runtime().advance(46s); });

  step("commit in another topic", [&] { commit("g", {at("u", 0, 0)}); });
  step("end of that topic", [&] {
    ASSERT_TRUE(engine_->remove("u"));
    engine_->runtime().run();
  });
  step("remove", [&] { ASSERT_TRUE(groups().remove("c")); });
  step("the same name again", [&] { commit("c", {at("t", 1, 1)}); });

  // Until the state outweighs what was recorded of it before, and is written whole.
  for (char mark = 'A'; mark <= 'H'; ++mark) {
    step(std::string("wide commit ") + mark, [&] {
      std::vector<CommitRequest::Entry> entries;
      for (std::int32_t p = 0; p < kWidePartitions; ++p) entries.push_back(at("wide", p, 0, std::string(kCommitMetadataBytesMax, mark)));
      commit("w", std::move(entries));
    });
  }
  std::printf("%zu operations, %zu distinct images of %zu, each recovered twice (seed %llu)\n", changed_, distinct_, images_,
              static_cast<unsigned long long>(seed_));
  EXPECT_GE(distinct_, 100u);
}

}  // namespace
}  // namespace tidemark::broker
