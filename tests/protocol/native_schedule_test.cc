#include "tests/protocol/native_node.h"

namespace tidemark::native {
namespace {

struct Sent {
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

Slice batch_with(const std::vector<Sent>& records) {
  BatchBuilder batch;
  for (const Sent& record : records) {
    std::vector<HeaderView> headers;
    for (const auto& [name, value] : record.headers) headers.push_back({name, as_bytes(value)});
    batch.add({.key = std::nullopt, .value = as_bytes(record.value), .timestamp_ms = 1, .headers = headers});
  }
  return batch.build();
}

class NativeSchedule : public testing::Test {
 protected:
  void SetUp() override { create_topic(*client_, "orders"); }
  wire::ProduceReply::Stored produce(const std::vector<Sent>& records, bool obey_headers = true) {
    const Slice bytes = batch_with(records);
    wire::Produce produce;
    auto& batch = *produce.add_batches();
    batch.set_topic("orders");
    batch.set_size(static_cast<std::uint32_t>(bytes.size()));
    batch.set_obey_headers(obey_headers);
    const auto reply = client_->must<wire::ProduceReply>(FrameType::produce, produce, {bytes});
    EXPECT_EQ(reply.batches_size(), 1);
    return reply.batches_size() == 1 ? reply.batches(0) : wire::ProduceReply::Stored();
  }
  wire::ListScheduledReply list(const std::string& page = {}, std::uint32_t limit = 0) {
    wire::ListScheduled list;
    list.set_page(page);
    list.set_limit(limit);
    return client_->must<wire::ListScheduledReply>(FrameType::list_scheduled, list);
  }

  NativeNode node_;
  std::unique_ptr<RawClient> client_ = node_.client();
};

TEST_F(NativeSchedule, a_delayed_record_is_answered_with_an_id_and_can_be_cancelled_by_it) {
  const auto stored = produce({{"now"}, {"later", {{"tidemark-delay", "1h"}}}});
  EXPECT_EQ(stored.base_offset(), 0);
  ASSERT_EQ(stored.scheduled_size(), 1);
  EXPECT_EQ(stored.scheduled(0).record(), 1u);
  EXPECT_GT(stored.scheduled(0).due_ms(), stored.append_time_ms());

  const auto page = list();
  ASSERT_EQ(page.records_size(), 1);
  EXPECT_EQ(page.records(0).id(), stored.scheduled(0).id());
  EXPECT_EQ(page.records(0).topic(), "orders");
  EXPECT_EQ(page.records(0).state(), "waiting");
  EXPECT_EQ(page.next(), "");
  const auto status = client_->must<wire::ScheduleStatusReply>(FrameType::schedule_status, wire::ScheduleStatus());
  EXPECT_EQ(status.waiting(), 1u);
  ASSERT_EQ(status.topics_size(), 1);
  EXPECT_EQ(status.topics(0).waiting(), 1u);

  wire::CancelScheduled cancel;
  cancel.set_id(stored.scheduled(0).id());
  EXPECT_EQ(client_->must<wire::ScheduledInfo>(FrameType::cancel_scheduled, cancel).id(), cancel.id());
  EXPECT_EQ(client_->ask(FrameType::cancel_scheduled, cancel).error().code, Errc::not_found);
  cancel.set_id("no id");
  EXPECT_EQ(client_->ask(FrameType::cancel_scheduled, cancel).error().code, Errc::invalid_argument);
  EXPECT_EQ(list().records_size(), 0);
}

TEST_F(NativeSchedule, a_wholly_delayed_batch_has_no_offset) {
  const auto stored = produce({{"later", {{"tidemark-delay", "1h"}}}});
  EXPECT_EQ(stored.base_offset(), -1);
  EXPECT_FALSE(stored.has_error());
}

TEST_F(NativeSchedule, duplicates_are_named) {
  EXPECT_EQ(produce({{"a", {{"tidemark-dedup-id", "x"}}}}).duplicates_size(), 0);
  const auto again = produce({{"b", {{"tidemark-dedup-id", "x"}}}});
  EXPECT_TRUE(again.duplicate());
  EXPECT_EQ(again.base_offset(), 0);
  ASSERT_EQ(again.duplicates_size(), 1);
  EXPECT_EQ(again.duplicates(0).offset(), 0);
}

TEST_F(NativeSchedule, headers_are_not_looked_at_unasked) {
  const auto stored = produce({{"a", {{"tidemark-delay", "nonsense"}}}}, false);
  EXPECT_FALSE(stored.has_error());
  EXPECT_EQ(stored.base_offset(), 0);
  EXPECT_EQ(from_wire(produce({{"a", {{"tidemark-delay", "nonsense"}}}}).error()).code, Errc::invalid_argument);
}

TEST_F(NativeSchedule, comes_in_pages) {
  for (int i = 0; i < 5; ++i) produce({{"later", {{"tidemark-delay", std::to_string(i + 1) + "h"}}}});
  const auto first = list({}, 3);
  ASSERT_EQ(first.records_size(), 3);
  const auto second = list(first.next(), 3);
  ASSERT_EQ(second.records_size(), 2);
  EXPECT_LT(first.records(2).due_ms(), second.records(0).due_ms());
  EXPECT_EQ(second.next(), "");
  wire::ListScheduled bad;
  bad.set_page("3");
  EXPECT_EQ(client_->ask(FrameType::list_scheduled, bad).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace tidemark::native
