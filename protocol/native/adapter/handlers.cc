#include "protocol/native/adapter/handlers.h"

#include <algorithm>

#include "protocol/native/adapter/group_handlers.h"
#include "protocol/native/adapter/job_handlers.h"
#include "protocol/native/adapter/queue_handlers.h"
#include "protocol/native/adapter/queue_members.h"
#include "protocol/native/adapter/request.h"
#include "protocol/native/adapter/schedule_handlers.h"
#include "protocol/native/adapter/subscriptions.h"
#include "protocol/native/adapter/transaction_handlers.h"
#include "protocol/native/codec/errors.h"

namespace tidemark::native {
namespace {

constexpr std::size_t kClientIdBytesMax = 249;
constexpr int kProduceBatchesMax = 4096;
constexpr std::uint32_t kFetchBytesDefault = 1024 * 1024;
constexpr std::uint32_t kFetchBytesMax = 8 * 1024 * 1024;
constexpr std::uint32_t kFetchWaitMax = 30'000;  ///< Also how long a request of a vanished client may linger in the engine.

void to_wire(const broker::Topic& topic, wire::TopicInfo& info) {
  info.set_name(topic.name);
  info.set_id(topic.id.to_string());
  info.set_partitions(topic.partitions);
  info.set_created_ms(topic.created.time_since_epoch().count());
  info.set_durability(std::string(broker::to_string(topic.effective.durability)));
  info.set_entry_id(topic.effective.entry_id == broker::EntryIdMode::time ? "time" : "offset");
  for (const auto& [key, value] : topic.config) {
    auto& entry = *info.add_config();
    entry.set_key(printable(key));
    entry.set_value(printable(value));
  }
}

void add_sizes(const std::vector<broker::PartitionInfo>& partitions, wire::TopicInfo& info) {
  for (const broker::PartitionInfo& partition : partitions) {
    info.set_records(info.records() + (partition.high_watermark - partition.log_start));
    info.set_bytes(info.bytes() + partition.bytes);
  }
}

void to_wire(const broker::CompactionInfo& compaction, wire::Compaction& info) {
  info.set_enabled(compaction.enabled);
  info.set_running(compaction.running);
  info.set_due(compaction.due);
  info.set_reason(compaction.reason);
  info.set_dirty_ratio(compaction.dirty_ratio);
  info.set_dirty_bytes(compaction.dirty_bytes);
  info.set_clean_bytes(compaction.clean_bytes);
  info.set_clean_end(compaction.clean_end.value);
  info.set_cleanable_end(compaction.cleanable_end.value);
  if (compaction.last_time) info.set_last_ms(compaction.last_time->time_since_epoch().count());
  if (compaction.next_tombstones_time) info.set_next_tombstones_ms(compaction.next_tombstones_time->time_since_epoch().count());
}

void to_wire(const broker::PartitionInfo& partition, wire::PartitionInfo& info) {
  info.set_partition(partition.partition);
  info.set_log_start(partition.log_start.value);
  info.set_end(partition.end.value);
  // Where readers of this protocol end: they get committed records only.
  info.set_high_watermark(partition.last_stable.value);
  info.set_bytes(partition.bytes);
  info.set_segments(static_cast<std::uint32_t>(partition.segments));
  info.set_state(printable(partition.state));
  for (const storage::Damage& damage : partition.damage) {
    auto& range = *info.add_quarantined();
    range.set_file(printable(damage.file));
    range.set_position(damage.position.value);
    range.set_from(damage.from.value);
    range.set_to(damage.to.value);
    range.set_reason(damage.reason);
  }
  to_wire(partition.compaction, *info.mutable_compaction());
}

using TopicPtr = std::shared_ptr<const broker::Topic>;

void reply_topic(const Request& request, const TopicPtr& topic) {
  wire::TopicInfo info;
  to_wire(*topic, info);
  request.reply(info);
}

Status handle_hello(const Request& request, const wire::Hello& hello) {
  if (request.session->greeted()) return Error{Errc::protocol_error, "a connection has one hello"};
  if (hello.protocol_min() > kProtocolVersion || hello.protocol_max() < kProtocolVersion) {
    return Error{Errc::unsupported_version, "this broker speaks protocol version " + std::to_string(kProtocolVersion) + ", not " +
                                                std::to_string(hello.protocol_min()) + ".." + std::to_string(hello.protocol_max())};
  }
  if (hello.client_id().size() > kClientIdBytesMax) {
    return Error{Errc::invalid_argument, "client_id has at most " + std::to_string(kClientIdBytesMax) + " bytes"};
  }
  request.session->greet(hello.client_id());
  wire::HelloReply reply;
  reply.set_protocol(kProtocolVersion);
  reply.set_broker_version(request.session->facts().version);
  reply.set_cluster_id(request.broker().cluster_id().to_string());
  reply.set_frame_bytes_max(static_cast<std::uint32_t>(kFrameBytesMax));
  reply.set_requests_in_flight_max(static_cast<std::uint32_t>(request.session->limits().requests_in_flight_max));
  request.reply(reply);
  return {};
}

Status handle_create_topic(const Request& request, const wire::CreateTopic& create) {
  broker::TopicSpec spec{create.name(), std::nullopt, to_config(create.config())};
  if (create.has_partitions()) spec.partitions = create.partitions();
  request.broker().create_topic(request.context(), std::move(spec), answer<TopicPtr>(request, reply_topic));
  return {};
}

/// Sizes need a visit to every topic's partitions; they are asked for side by side and answered together.
Status handle_list_topics(const Request& request, const wire::ListTopics& list) {
  struct Gather {
    wire::ListTopicsReply reply;
    std::size_t left = 1;
  };
  auto gather = std::make_shared<Gather>();
  const auto one_less = [request, gather] {
    if (--gather->left == 0) request.reply(gather->reply);
  };
  const std::shared_ptr<const broker::TopicTable> topics = request.broker().topics();
  for (const auto& [name, topic] : topics->by_name) {
    if (broker::is_internal_topic(name) && !list.include_internal()) continue;
    to_wire(*topic, *gather->reply.add_topics());
  }
  gather->left += static_cast<std::size_t>(gather->reply.topics_size());
  for (int i = 0; i < gather->reply.topics_size(); ++i) {
    request.broker().describe(request.context(), gather->reply.topics(i).name(),
                              [gather, i, one_less](Result<std::vector<broker::PartitionInfo>> partitions) {
                                if (partitions) add_sizes(*partitions, *gather->reply.mutable_topics(i));
                                one_less();
                              });
  }
  one_less();
  return {};
}

Status handle_describe_topic(const Request& request, const wire::DescribeTopic& describe) {
  const auto encode = [name = describe.name()](const Request& asked, const std::vector<broker::PartitionInfo>& partitions) {
    const broker::Topic* const topic = asked.broker().topics()->find(name);
    if (topic == nullptr) return asked.reply(Error{Errc::unknown_topic, "topic '" + name + "' was deleted"});
    wire::TopicInfo info;
    to_wire(*topic, info);
    add_sizes(partitions, info);
    for (const broker::ConfigKey& key : broker::topic_config_keys()) {
      const auto set = topic->config.find(std::string(key.name));
      auto& entry = *info.add_effective_config();
      entry.set_key(std::string(key.name));
      entry.set_value(printable(set != topic->config.end() ? set->second : key.default_value));
    }
    for (const broker::PartitionInfo& partition : partitions) to_wire(partition, *info.add_partition_list());
    asked.reply(info);
  };
  request.broker().describe(request.context(), describe.name(), answer<std::vector<broker::PartitionInfo>>(request, encode));
  return {};
}

Status handle_alter_topic(const Request& request, const wire::AlterTopic& alter) {
  if (!alter.has_partitions() && alter.config().empty()) {
    request.reply(Error{Errc::invalid_argument, "nothing to change: neither config nor partitions"});
    return {};
  }
  // Settings first: they are judged as a whole, and partitions cannot be taken back.
  const auto grow = [request, alter](Result<TopicPtr> altered) {
    if (!altered) return request.reply(altered.error());
    if (!alter.has_partitions() || alter.partitions() == (*altered)->partitions) return reply_topic(request, *altered);
    request.broker().add_partitions(request.context(), alter.name(), alter.partitions(), answer<TopicPtr>(request, reply_topic));
  };
  request.broker().alter_topic(request.context(), alter.name(), to_config(alter.config()), grow);
  return {};
}

Status handle_delete_topic(const Request& request, const wire::DeleteTopic& remove) {
  request.broker().delete_topic(request.context(), remove.name(), [request](Result<void> removed) {
    if (!removed) return request.reply(removed.error());
    request.reply(wire::DeleteTopicReply());
  });
  return {};
}

Status handle_trim_topic(const Request& request, const wire::TrimTopic& trim) {
  request.broker().trim(request.context(), {trim.name(), trim.partition()}, Offset{trim.before()},
                        answer<Offset>(request, [](const Request& asked, Offset log_start) {
                          wire::TrimTopicReply reply;
                          reply.set_log_start(log_start.value);
                          asked.reply(reply);
                        }));
  return {};
}

Status handle_init_producer(const Request& request, const wire::InitProducer&) {
  request.broker().init_producer(request.context(),
                                 answer<broker::ProducerIdentity>(request, [](const Request& asked, const auto& identity) {
                                   wire::InitProducerReply reply;
                                   reply.set_producer_id(identity.id);
                                   reply.set_producer_epoch(identity.epoch);
                                   asked.reply(reply);
                                 }));
  return {};
}

void to_wire(const Result<broker::Appended>& appended, wire::ProduceReply::Stored& stored) {
  if (!appended) {
    *stored.mutable_error() = native::to_wire(appended.error());
    return;
  }
  stored.set_base_offset(appended->base_offset.value);
  stored.set_append_time_ms(appended->append_time.time_since_epoch().count());
  stored.set_duplicate(appended->duplicate);
  stored.set_durability(std::string(broker::to_string(appended->durability)));
  stored.set_log_start(appended->log_start.value);
  if (!appended->details) return;
  for (const auto& scheduled : appended->details->scheduled) {
    auto& out = *stored.add_scheduled();
    out.set_record(static_cast<std::uint32_t>(scheduled.record));
    out.set_id(scheduled.id);
    out.set_due_ms(scheduled.due.time_since_epoch().count());
    out.set_duplicate(scheduled.duplicate);
  }
  for (const auto& duplicate : appended->details->duplicates) {
    auto& out = *stored.add_duplicates();
    out.set_record(static_cast<std::uint32_t>(duplicate.record));
    out.set_offset(duplicate.offset.value);
  }
}

Status handle_produce(const Request& request, const wire::Produce& produce) {
  std::size_t named = 0;
  for (const auto& batch : produce.batches()) named += batch.size();
  if (named != request.header.attachment_bytes) {
    return Error{Errc::protocol_error, "the batches named have " + std::to_string(named) + " bytes, the frame carries " +
                                           std::to_string(request.header.attachment_bytes)};
  }
  if (produce.batches_size() == 0 || produce.batches_size() > kProduceBatchesMax) {
    request.reply(Error{Errc::invalid_argument, "a produce request has 1 to " + std::to_string(kProduceBatchesMax) + " batches, not " +
                                                    std::to_string(produce.batches_size())});
    return {};
  }
  struct Gather {
    wire::ProduceReply reply;
    int left = 0;
  };
  auto gather = std::make_shared<Gather>();
  gather->left = produce.batches_size();
  for (int i = 0; i < produce.batches_size(); ++i) gather->reply.add_batches();
  std::size_t at = kFrameHeaderBytes + request.header.message_bytes;
  for (int i = 0; i < produce.batches_size(); ++i) {
    const auto& batch = produce.batches(i);
    const Slice bytes = request.frame.subslice(at, batch.size());
    at += batch.size();
    request.broker().append(request.context(), {batch.topic(), batch.partition()}, bytes, {.obey_headers = batch.obey_headers()},
                            [request, gather, i](Result<broker::Appended> appended) {
                              to_wire(appended, *gather->reply.mutable_batches(i));
                              if (--gather->left == 0) request.reply(gather->reply);
                            });
  }
  return {};
}

Status handle_fetch(const Request& request, const wire::Fetch& fetch) {
  broker::ReadRequest read;
  read.from = Offset{fetch.offset()};
  read.bytes_max = fetch.bytes_max() == 0 ? kFetchBytesDefault : std::min(fetch.bytes_max(), kFetchBytesMax);
  read.bytes_min = std::max(fetch.bytes_min(), 1u);
  read.wait_max = std::chrono::milliseconds(std::min(fetch.wait_ms(), kFetchWaitMax));
  request.session->charge(request.slot, read.bytes_max);
  request.slot->waits = read.wait_max.count() > 0;
  request.broker().read(request.context(), {fetch.topic(), fetch.partition()}, read,
                        answer<broker::ReadReply>(request, [](const Request& asked, broker::ReadReply& found) {
                          wire::FetchReply reply;
                          reply.set_next(found.next.value);
                          reply.set_log_start(found.log_start.value);
                          reply.set_high_watermark(found.high_watermark.value);
                          reply.set_last_stable(found.last_stable.value);
                          std::size_t bytes = 0;
                          for (const Slice& batch : found.batches) bytes += batch.size();
                          reply.set_size(static_cast<std::uint32_t>(bytes));
                          asked.reply(reply, std::move(found.batches));
                        }));
  return {};
}

Status handle_find_offset(const Request& request, const wire::FindOffset& find) {
  broker::OffsetQuery query = broker::OffsetQuery::earliest;
  switch (find.query()) {
    case wire::FindOffset::EARLIEST:
      query = broker::OffsetQuery::earliest;
      break;
    case wire::FindOffset::LATEST:
      query = broker::OffsetQuery::latest;
      break;
    case wire::FindOffset::TIMESTAMP:
      query = broker::OffsetQuery::timestamp;
      break;
    default:
      request.reply(Error{Errc::invalid_argument, "unknown offset query " + std::to_string(find.query())});
      return {};
  }
  request.broker().find_offset(request.context(), {find.topic(), find.partition()}, query, find.timestamp_ms(),
                               answer<broker::OffsetAt>(request, [](const Request& asked, const broker::OffsetAt& found) {
                                 wire::FindOffsetReply reply;
                                 reply.set_offset(found.offset.value);
                                 reply.set_timestamp_ms(found.timestamp_ms);
                                 reply.set_found(found.found);
                                 asked.reply(reply);
                               }));
  return {};
}

Status handle_subscribe(const Request& request, const wire::Subscribe& subscribe) {
  // Held back behind earlier replies, perhaps: batches follow only once the reply is out.
  request.slot->on_sent = [session = request.session.get(), id = subscribe.subscription()] { session->subscriptions().begin(id); };
  request.session->subscriptions().open(
      subscribe,
      answer<wire::SubscribeReply>(request, [](const Request& asked, const wire::SubscribeReply& reply) { asked.reply(reply); }));
  return {};
}

Status handle_unsubscribe(const Request& request, const wire::Unsubscribe& unsubscribe) {
  request.session->subscriptions().end(unsubscribe.subscription());  // Ended already is as good.
  request.reply(wire::UnsubscribeReply());
  return {};
}

Status handle_status(const Request& request, const wire::StatusRequest&) {
  request.broker().status(request.context(),
                          answer<broker::BrokerStatus>(request, [](const Request& asked, const broker::BrokerStatus& status) {
                            wire::StatusReply reply;
                            const ServerFacts& facts = asked.session->facts();
                            reply.set_version(facts.version);
                            reply.set_data_dir(printable(status.data_directory));
                            reply.set_cluster_id(status.cluster_id.to_string());
                            reply.set_uptime_seconds(std::chrono::duration<double>(status.uptime).count());
                            reply.set_flush_ms_p50(status.flush.p50_ms);
                            reply.set_flush_ms_p99(status.flush.p99_ms);
                            reply.set_topics(status.topics);
                            reply.set_partitions(status.partitions);
                            reply.set_groups(status.groups);
                            if (facts.connections) {
                              for (const auto& [listener, count] : facts.connections()) (*reply.mutable_connections())[listener] = count;
                            }
                            reply.set_disk_free_bytes(status.disk_free_bytes);
                            reply.set_disk_total_bytes(status.disk_total_bytes);
                            reply.set_read_only(status.read_only_reason.value_or(""));
                            reply.set_memory_used_bytes(status.memory_used_bytes);
                            reply.set_memory_limit_bytes(status.memory_limit_bytes);
                            reply.set_clean_start(status.clean_start);
                            reply.set_recovery_seconds(std::chrono::duration<double>(status.recovery_duration).count());
                            reply.set_recovery_scanned_bytes(status.recovery_scanned_bytes);
                            asked.reply(reply);
                          }));
  return {};
}

Status handle_doctor(const Request& request, const wire::DoctorRequest&) {
  if (!request.session->facts().doctor) {
    request.reply(Error{Errc::not_found, "this server has no doctor"});
    return {};
  }
  // The checks touch the disk: off the shard and back. The request moves along, so that the session ends on its shard.
  request.session->runtime().disk_pool().post([asked = Request(request)]() mutable {
    wire::DoctorReply reply;
    for (wire::DoctorReply::Check& check : asked.session->facts().doctor()) *reply.add_checks() = std::move(check);
    broker::Shard& shard = asked.session->shard();
    shard.post([asked = std::move(asked), reply = std::move(reply)] { asked.reply(reply); });
  });
  return {};
}

/// What holds for every request, whatever its type.
Status judge(const FrameHeader& header) {
  if (header.flags != 0) return Error{Errc::protocol_error, "a request has no flags"};
  if (header.message_bytes > kRequestMessageBytesMax) {
    return Error{Errc::frame_too_large,
                 "a message of " + std::to_string(header.message_bytes) + " bytes, the most is " + std::to_string(kRequestMessageBytesMax)};
  }
  return {};
}

}  // namespace

Status dispatch(SessionCore& session, const FrameHeader& header, const Slice& frame, const SessionCore::Slot& slot) {
  if (const Status judged = judge(header); !judged) return judged.error();
  const Request request{session.shared_from_this(), slot, frame, header};
  if (known_frame_type(static_cast<std::uint16_t>(header.type)) && header.type != FrameType::produce && header.attachment_bytes > 0) {
    return Error{Errc::protocol_error, "only produce carries attachments"};
  }
  switch (header.type) {
    case FrameType::hello:
      return decode_and(request, handle_hello);
    case FrameType::create_topic:
      return decode_and(request, handle_create_topic);
    case FrameType::list_topics:
      return decode_and(request, handle_list_topics);
    case FrameType::describe_topic:
      return decode_and(request, handle_describe_topic);
    case FrameType::alter_topic:
      return decode_and(request, handle_alter_topic);
    case FrameType::delete_topic:
      return decode_and(request, handle_delete_topic);
    case FrameType::trim_topic:
      return decode_and(request, handle_trim_topic);
    case FrameType::init_producer:
      return decode_and(request, handle_init_producer);
    case FrameType::produce:
      return decode_and(request, handle_produce);
    case FrameType::fetch:
      return decode_and(request, handle_fetch);
    case FrameType::find_offset:
      return decode_and(request, handle_find_offset);
    case FrameType::subscribe:
      return decode_and(request, handle_subscribe);
    case FrameType::unsubscribe:
      return decode_and(request, handle_unsubscribe);
    case FrameType::status:
      return decode_and(request, handle_status);
    case FrameType::doctor:
      return decode_and(request, handle_doctor);
    case FrameType::group_heartbeat:
    case FrameType::leave_group:
    case FrameType::commit_offsets:
    case FrameType::group_positions:
    case FrameType::create_group:
    case FrameType::alter_group:
    case FrameType::delete_group:
    case FrameType::list_groups:
    case FrameType::describe_group:
    case FrameType::group_lag:
    case FrameType::seek_group:
    case FrameType::group_history:
    case FrameType::undo_seek:
      return dispatch_group(request);
    case FrameType::create_replay:
      return decode_and(request, handle_create_replay);
    case FrameType::list_jobs:
      return decode_and(request, handle_list_jobs);
    case FrameType::describe_job:
      return decode_and(request, handle_describe_job);
    case FrameType::control_job:
      return decode_and(request, handle_control_job);
    case FrameType::join_queue:
    case FrameType::leave_queue:
    case FrameType::receive:
    case FrameType::settle:
    case FrameType::extend_lease:
    case FrameType::create_queue:
    case FrameType::alter_queue:
    case FrameType::delete_queue:
    case FrameType::describe_queue:
    case FrameType::list_queues:
    case FrameType::queue_pending:
    case FrameType::queue_act:
    case FrameType::seek_queue:
    case FrameType::list_dead_letters:
    case FrameType::show_dead_letters:
    case FrameType::redrive:
    case FrameType::purge_dead_letters:
      return dispatch_queue(request);
    case FrameType::list_scheduled:
      return decode_and(request, handle_list_scheduled);
    case FrameType::cancel_scheduled:
      return decode_and(request, handle_cancel_scheduled);
    case FrameType::schedule_status:
      return decode_and(request, handle_schedule_status);
    case FrameType::begin_instance:
      return decode_and(request, handle_begin_instance);
    case FrameType::join_transaction:
      return decode_and(request, handle_join_transaction);
    case FrameType::commit_in_transaction:
      return decode_and(request, handle_commit_in_transaction);
    case FrameType::end_transaction:
      return decode_and(request, handle_end_transaction);
    case FrameType::deliver:
    case FrameType::group_news:
    case FrameType::received:
      return Error{Errc::protocol_error, "only the broker sends " + std::string(to_string(header.type))};
    case FrameType::credit:  // Answered by nothing, see handle_one_way.
    case FrameType::cancel_receive:
      break;
  }
  // A newer client may know more; it is told and the connection goes on.
  request.reply(Error{Errc::unsupported_version, "unknown request type " + std::to_string(static_cast<std::uint16_t>(header.type))});
  return {};
}

bool is_one_way(FrameType type) { return type == FrameType::credit || type == FrameType::cancel_receive; }

Status handle_one_way(SessionCore& session, FrameType type, ByteView message) {
  if (message.size() > kRequestMessageBytesMax) {
    return Error{Errc::frame_too_large, "the " + std::string(to_string(type)) + " is too large a message"};
  }
  if (type == FrameType::credit) {
    wire::Credit credit;
    if (!decode_message(message, credit)) return Error{Errc::protocol_error, "the message is no credit"};
    session.subscriptions().add_credit(credit.subscription(), credit.bytes());
    return {};
  }
  wire::CancelReceive cancel;
  if (!decode_message(message, cancel)) return Error{Errc::protocol_error, "the message is no cancel_receive"};
  session.queue_members().cancel(cancel.receive());
  return {};
}

}  // namespace tidemark::native
