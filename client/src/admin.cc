#include "tidemark/admin.h"

#include <algorithm>
#include <utility>

#include "client/src/client_core.h"
#include "client/src/fetched_batch.h"
#include "client/src/lookup.h"
#include "client/src/wire.h"
#include "client/src/wire_values.h"
#include "protocol/native/wire.pb.h"

namespace tidemark {
namespace {

using detail::Connection;
using detail::Done;
using detail::OnLoss;
using native::FrameType;

template <class Settings>
void add_config(Settings& to, const TopicSettings& from) {
  for (const auto& [key, value] : from) {
    wire::ConfigEntry& entry = *to.add_config();
    entry.set_key(key);
    entry.set_value(value);
  }
}

void create_topic(Connection& connection, const NewTopic& topic, Done<TopicDescription> done) {
  wire::CreateTopic create;
  create.set_name(topic.name);
  if (topic.partitions) create.set_partitions(*topic.partitions);
  add_config(create, topic.config);
  detail::ask<wire::TopicInfo>(connection, FrameType::create_topic, create, OnLoss::fail_if_sent, std::move(done), detail::topic_from_wire);
}

void list_topics(Connection& connection, bool include_internal, Done<std::vector<TopicDescription>> done) {
  wire::ListTopics list;
  list.set_include_internal(include_internal);
  detail::ask<wire::ListTopicsReply>(connection, FrameType::list_topics, list, OnLoss::repeat, std::move(done), [](const auto& reply) {
    std::vector<TopicDescription> topics;
    for (const wire::TopicInfo& info : reply.topics()) topics.push_back(detail::topic_from_wire(info));
    return topics;
  });
}

void alter_topic(Connection& connection, std::string name, const TopicChange& change, Done<TopicDescription> done) {
  wire::AlterTopic alter;
  alter.set_name(std::move(name));
  if (change.partitions) alter.set_partitions(*change.partitions);
  add_config(alter, change.config);
  detail::ask<wire::TopicInfo>(connection, FrameType::alter_topic, alter, OnLoss::fail_if_sent, std::move(done), detail::topic_from_wire);
}

void delete_topic(Connection& connection, std::string name, Done<void> done) {
  wire::DeleteTopic remove;
  remove.set_name(std::move(name));
  detail::ask<wire::DeleteTopicReply>(connection, FrameType::delete_topic, remove, OnLoss::fail_if_sent, std::move(done),
                                      [](const auto&) { return Status(); });
}

void trim(Connection& connection, std::string topic, std::int32_t partition, Offset before, Done<Offset> done) {
  wire::TrimTopic request;
  request.set_name(std::move(topic));
  request.set_partition(partition);
  request.set_before(before.value);
  // Trimming twice to the same place is trimming once.
  detail::ask<wire::TrimTopicReply>(connection, FrameType::trim_topic, request, OnLoss::repeat, std::move(done),
                                    [](const auto& reply) { return Offset{reply.log_start()}; });
}

void find_offset(const std::shared_ptr<Connection>& connection, std::string topic, std::int32_t partition, const Position& position,
                 Done<FoundOffset> done) {
  auto found = [connection, topic, partition, position, done = std::move(done)](Result<TopicDescription> description) mutable {
    if (!description) return done(std::move(description).error());
    for (const PartitionDescription& where : description->partition_list) {
      if (where.partition == partition) return resolve_position(*connection, topic, where, position, true, std::move(done));
    }
    done(Error{Errc::unknown_partition,
               topic + " has partitions 0 to " + std::to_string(description->partitions - 1) + ", not " + std::to_string(partition)});
  };
  detail::describe_topic(*connection, topic, std::move(found));
}

Result<Fetched> unpack(const std::shared_ptr<const std::string>& topic, std::int32_t partition, Offset offset,
                       const wire::FetchReply& reply, Slice bytes) {
  Fetched fetched{.messages = {},
                  .next = Offset{reply.next()},
                  .log_start = Offset{reply.log_start()},
                  .high_watermark = Offset{reply.high_watermark()}};
  while (!bytes.empty()) {
    const auto batch = detail::FetchedBatch::take(topic, partition, bytes);
    if (!batch) return batch.error();
    if ((*batch)->header().is_control()) continue;
    Message message;
    for (;;) {
      const Result<bool> more = (*batch)->next(message);
      if (!more) return more.error();
      if (!*more) break;
      if (message.offset() >= offset) fetched.messages.push_back(message);
    }
  }
  return fetched;
}

void fetch(Connection& connection, std::string topic, std::int32_t partition, Offset offset, std::size_t bytes_max, Done<Fetched> done) {
  wire::Fetch message;
  message.set_topic(topic);
  message.set_partition(partition);
  message.set_offset(offset.value);
  message.set_bytes_max(static_cast<std::uint32_t>(std::min(bytes_max, native::kFrameBytesMax)));

  detail::Request request;
  request.type = FrameType::fetch;
  request.head = native::encode_frame(request.type, 0, 0, message);
  request.deadline = connection.default_deadline();
  request.done = [topic = std::make_shared<const std::string>(std::move(topic)), partition, offset,
                  done = std::move(done)](Result<detail::Frame> frame) mutable {
    if (!frame) return done(std::move(frame).error());
    wire::FetchReply reply;
    const Status decoded = detail::decode_reply(*frame, reply);
    if (!decoded) return done(decoded.error());
    done(unpack(topic, partition, offset, reply, frame->attachment));
  };
  connection.send(std::move(request));
}

void status(Connection& connection, Done<BrokerStatus> done) {
  detail::ask<wire::StatusReply>(connection, FrameType::status, wire::StatusRequest(), OnLoss::repeat, std::move(done),
                                 detail::status_from_wire);
}

void doctor(Connection& connection, Done<std::vector<DoctorCheck>> done) {
  detail::ask<wire::DoctorReply>(connection, FrameType::doctor, wire::DoctorRequest(), OnLoss::repeat, std::move(done),
                                 detail::checks_from_wire);
}

}  // namespace

// --- Blocking.

Result<TopicDescription> Admin::create_topic(const NewTopic& topic) {
  return core_->block<TopicDescription>([&](auto done) { tidemark::create_topic(*core_->connection(), topic, std::move(done)); });
}

Result<std::vector<TopicDescription>> Admin::list_topics(bool include_internal) {
  return core_->block<std::vector<TopicDescription>>(
      [&](auto done) { tidemark::list_topics(*core_->connection(), include_internal, std::move(done)); });
}

Result<TopicDescription> Admin::describe_topic(std::string_view name) {
  return core_->block<TopicDescription>(
      [&](auto done) { detail::describe_topic(*core_->connection(), std::string(name), std::move(done)); });
}

Result<TopicDescription> Admin::alter_topic(std::string_view name, const TopicChange& change) {
  return core_->block<TopicDescription>(
      [&](auto done) { tidemark::alter_topic(*core_->connection(), std::string(name), change, std::move(done)); });
}

Status Admin::delete_topic(std::string_view name) {
  return core_->block<void>([&](auto done) { tidemark::delete_topic(*core_->connection(), std::string(name), std::move(done)); });
}

Result<Offset> Admin::trim(std::string_view topic, std::int32_t partition, Offset before) {
  return core_->block<Offset>(
      [&](auto done) { tidemark::trim(*core_->connection(), std::string(topic), partition, before, std::move(done)); });
}

Result<FoundOffset> Admin::find_offset(std::string_view topic, std::int32_t partition, const Position& position) {
  return core_->block<FoundOffset>(
      [&](auto done) { tidemark::find_offset(core_->connection(), std::string(topic), partition, position, std::move(done)); });
}

Result<Fetched> Admin::fetch(std::string_view topic, std::int32_t partition, Offset offset, std::size_t bytes_max) {
  return core_->block<Fetched>(
      [&](auto done) { tidemark::fetch(*core_->connection(), std::string(topic), partition, offset, bytes_max, std::move(done)); });
}

Result<BrokerStatus> Admin::status() {
  return core_->block<BrokerStatus>([&](auto done) { tidemark::status(*core_->connection(), std::move(done)); });
}

Result<std::vector<DoctorCheck>> Admin::doctor() {
  return core_->block<std::vector<DoctorCheck>>([&](auto done) { tidemark::doctor(*core_->connection(), std::move(done)); });
}

// --- Asynchronous.

void Admin::start_create_topic(const Core& core, NewTopic topic, Completion<TopicDescription> done) {
  tidemark::create_topic(*core->connection(), topic, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_list_topics(const Core& core, bool include_internal, Completion<std::vector<TopicDescription>> done) {
  tidemark::list_topics(*core->connection(), include_internal, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_describe_topic(const Core& core, std::string name, Completion<TopicDescription> done) {
  detail::describe_topic(*core->connection(), std::move(name), detail::as_done(std::move(done), core->executor()));
}

void Admin::start_alter_topic(const Core& core, std::string name, TopicChange change, Completion<TopicDescription> done) {
  tidemark::alter_topic(*core->connection(), std::move(name), change, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_delete_topic(const Core& core, std::string name, Completion<void> done) {
  tidemark::delete_topic(*core->connection(), std::move(name), detail::as_done(std::move(done), core->executor()));
}

void Admin::start_trim(const Core& core, std::string topic, std::int32_t partition, Offset before, Completion<Offset> done) {
  tidemark::trim(*core->connection(), std::move(topic), partition, before, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_find_offset(const Core& core, std::string topic, std::int32_t partition, Position position,
                              Completion<FoundOffset> done) {
  tidemark::find_offset(core->connection(), std::move(topic), partition, position, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_fetch(const Core& core, std::string topic, std::int32_t partition, Offset offset, std::size_t bytes_max,
                        Completion<Fetched> done) {
  tidemark::fetch(*core->connection(), std::move(topic), partition, offset, bytes_max, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_status(const Core& core, Completion<BrokerStatus> done) {
  tidemark::status(*core->connection(), detail::as_done(std::move(done), core->executor()));
}

void Admin::start_doctor(const Core& core, Completion<std::vector<DoctorCheck>> done) {
  tidemark::doctor(*core->connection(), detail::as_done(std::move(done), core->executor()));
}

}  // namespace tidemark
