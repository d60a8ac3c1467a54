#include <algorithm>
#include <map>

#include "broker/groups/groups.h"
#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/group_errors.h"
#include "protocol/kafka/adapter/handlers.h"

/// Committed offsets of groups.
namespace tidemark::kafka {
namespace {

/// From here on requests and answers name topics by their ids.
constexpr int kTopicIds = 10;

/// The name behind an id; empty: there is no such topic.
std::string name_of(const Call& call, const Uuid& id) {
  const auto topics = call.broker().topics();
  const auto found = topics->by_id.find(id);
  return found == topics->by_id.end() ? std::string() : found->second->name;
}

ErrorCode commit_error(const Error& error, std::int32_t generation) {
  switch (error.code) {
    case Errc::unknown_group:  // Only a member with a generation can miss it: others make it.
      return generation >= 0 ? ErrorCode::illegal_generation : ErrorCode::unknown_member_id;
    case Errc::not_owner:
      return ErrorCode::unknown_member_id;
    case Errc::conflict:  // No member, and the group has some.
      return ErrorCode::unknown_member_id;
    default:
      return group_error(error);
  }
}

}  // namespace

void handle(const Call& call, OffsetCommitRequest request) {
  broker::CommitRequest commit;
  commit.group = request.group_id;
  commit.member = request.member_id;
  commit.epoch = request.generation_id_or_member_epoch;
  commit.instance = request.group_instance_id;
  commit.beyond_end = true;

  OffsetCommitResponse response;
  std::vector<std::pair<std::size_t, std::size_t>> places;  // Of each commit entry: topic and partition in the response.
  for (OffsetCommitRequest::Topic& topic : request.topics) {
    const bool by_id = call.version() >= kTopicIds;
    const std::string name = by_id ? name_of(call, topic.topic_id) : topic.name;
    OffsetCommitResponse::Topic& out = response.topics.emplace_back();
    out.name = topic.name;
    out.topic_id = topic.topic_id;
    for (OffsetCommitRequest::Partition& partition : topic.partitions) {
      OffsetCommitResponse::Partition& answer = out.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      if (!legal_group_id(request.group_id)) {
        answer.error_code = ErrorCode::invalid_group_id;
      } else if (by_id && name.empty()) {
        answer.error_code = ErrorCode::unknown_topic_id;
      } else if (partition.committed_metadata && partition.committed_metadata->size() > broker::kCommitMetadataBytesMax) {
        answer.error_code = ErrorCode::offset_metadata_too_large;
      } else {
        commit.entries.push_back({{name, partition.partition_index},
                                  Offset{partition.committed_offset},
                                  partition.committed_leader_epoch,
                                  partition.committed_metadata.value_or("")});
        places.emplace_back(response.topics.size() - 1, out.partitions.size() - 1);
      }
    }
  }
  if (!legal_group_id(request.group_id)) return call.reply(response);
  const std::int32_t generation = request.generation_id_or_member_epoch;
  call.broker().groups().commit(
      call.context(), std::move(commit),
      [call, generation, response = std::move(response), places = std::move(places)](Result<broker::CommitReply> committed) mutable {
        for (std::size_t i = 0; i < places.size(); ++i) {
          ErrorCode& code = response.topics[places[i].first].partitions[places[i].second].error_code;
          if (!committed)
            code = commit_error(committed.error(), generation);
          else if (!(*committed)[i])
            code = commit_error((*committed)[i].error(), generation);
        }
        call.reply(response);
      });
}

// --- Fetching.

namespace {

using Committed = broker::Groups::Committed;

/// One group's question in the form of the latest version; the older ones have one group and no ids.
std::vector<OffsetFetchRequest::Group> groups_of(OffsetFetchRequest& request, int version) {
  constexpr int kSeveralGroups = 8;
  if (version >= kSeveralGroups) return std::move(request.groups);
  OffsetFetchRequest::Group group;
  group.group_id = std::move(request.group_id);
  if (request.topics) {
    group.topics.emplace();
    for (OffsetFetchRequest::Topic& topic : *request.topics) {
      group.topics->push_back({std::move(topic.name), Uuid{}, std::move(topic.partition_indexes)});
    }
  }
  return {std::move(group)};
}

void fill(const std::optional<broker::CommittedOffset>& committed, OffsetFetchResponse::GroupPartition& out) {
  out.committed_offset = committed ? committed->offset.value : -1;
  out.committed_leader_epoch = committed ? committed->leader_epoch : -1;
  out.metadata = committed ? committed->metadata : "";
}

/// An offset that an open transaction may replace is no answer to those who want a stable one (KIP-447): they ask again.
void fill(const Committed& answer, bool stable, OffsetFetchResponse::GroupPartition& out) {
  const bool hidden = stable && answer.unstable;
  fill(hidden ? std::nullopt : answer.committed, out);
  if (hidden) out.error_code = ErrorCode::unstable_offset_commit;
}

/// Everything the group has committed.
void fill_all(const Call& call, const std::vector<Committed>& all, bool stable, OffsetFetchResponse::Group& out) {
  const auto topics = call.broker().topics();
  for (const Committed& committed : all) {
    if (out.topics.empty() || out.topics.back().name != committed.where.topic) {
      const broker::Topic* const topic = topics->find(committed.where.topic);
      out.topics.push_back({committed.where.topic, topic == nullptr ? Uuid{} : topic->id, {}});
    }
    OffsetFetchResponse::GroupPartition& partition = out.topics.back().partitions.emplace_back();
    partition.partition_index = committed.where.partition;
    fill(committed, stable, partition);
  }
}

/// The answer as versions before 8 have it.
OffsetFetchResponse flatten(OffsetFetchResponse response, int version) {
  constexpr int kGroupError = 2;
  OffsetFetchResponse flat;
  OffsetFetchResponse::Group& group = response.groups.front();
  flat.error_code = group.error_code;
  for (OffsetFetchResponse::GroupTopic& topic : group.topics) {
    OffsetFetchResponse::Topic& out = flat.topics.emplace_back();
    out.name = topic.name;
    for (OffsetFetchResponse::GroupPartition& partition : topic.partitions) {
      const ErrorCode code = version < kGroupError && group.error_code != ErrorCode::none ? group.error_code : partition.error_code;
      out.partitions.push_back(
          {partition.partition_index, partition.committed_offset, partition.committed_leader_epoch, partition.metadata, code});
    }
  }
  return flat;
}

/// The groups of one request are asked side by side.
struct FetchWork {
  explicit FetchWork(const Call& asked) : call(asked) {}
  const Call call;
  OffsetFetchResponse response;
  std::size_t left = 1;
  void one_less() {
    if (--left > 0) return;
    constexpr int kSeveralGroups = 8;
    call.reply(call.version() >= kSeveralGroups ? response : flatten(std::move(response), call.version()));
  }
};

/// Puts the places of everything asked for into the answer, as not committed, and says what the engine is to be asked.
std::vector<broker::NamedPartition> lay_out(const Call& call, const OffsetFetchRequest::Group& asked, OffsetFetchResponse::Group& out) {
  std::vector<broker::NamedPartition> where;
  for (const OffsetFetchRequest::GroupTopic& topic : *asked.topics) {
    const bool by_id = call.version() >= kTopicIds;
    const std::string name = by_id ? name_of(call, topic.topic_id) : topic.name;
    OffsetFetchResponse::GroupTopic& to = out.topics.emplace_back();
    to.name = topic.name;
    to.topic_id = topic.topic_id;
    for (const std::int32_t number : topic.partition_indexes) {
      OffsetFetchResponse::GroupPartition& partition = to.partitions.emplace_back();
      partition.partition_index = number;
      fill(std::nullopt, partition);
      if (by_id && name.empty()) partition.error_code = ErrorCode::unknown_topic_id;
      where.push_back({name, number});
    }
  }
  return where;
}

void fetch_group(const std::shared_ptr<FetchWork>& work, std::size_t number, const OffsetFetchRequest::Group& asked, bool stable) {
  OffsetFetchResponse::Group& out = work->response.groups[number];
  out.group_id = asked.group_id;
  std::vector<broker::NamedPartition> where;
  if (asked.topics) where = lay_out(work->call, asked, out);
  if (!legal_group_id(asked.group_id)) {
    out.error_code = ErrorCode::invalid_group_id;
    return;
  }
  if (asked.topics && where.empty()) return;
  ++work->left;
  const bool everything = !asked.topics;
  work->call.broker().groups().committed(work->call.context(), asked.group_id, std::move(where),
                                         [work, number, everything, stable](Result<std::vector<Committed>> committed) {
                                           OffsetFetchResponse::Group& group = work->response.groups[number];
                                           if (!committed) {
                                             // A group nobody has heard of has committed nothing.
                                             if (committed.error().code != Errc::unknown_group)
                                               group.error_code = group_error(committed.error());
                                           } else if (everything) {
                                             fill_all(work->call, *committed, stable, group);
                                           } else {
                                             std::size_t i = 0;
                                             for (OffsetFetchResponse::GroupTopic& topic : group.topics) {
                                               for (OffsetFetchResponse::GroupPartition& partition : topic.partitions)
                                                 fill((*committed)[i++], stable, partition);
                                             }
                                           }
                                           work->one_less();
                                         });
}

}  // namespace

void handle(const Call& call, OffsetFetchRequest request) {
  const std::vector<OffsetFetchRequest::Group> groups = groups_of(request, call.version());
  auto work = std::make_shared<FetchWork>(call);
  work->response.groups.resize(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) fetch_group(work, i, groups[i], request.require_stable);
  work->one_less();
}

// --- Forgetting.

void handle(const Call& call, OffsetDeleteRequest request) {
  OffsetDeleteResponse response;
  std::vector<broker::NamedPartition> where;
  for (const OffsetDeleteRequest::Topic& topic : request.topics) {
    OffsetDeleteResponse::Topic& out = response.topics.emplace_back();
    out.name = topic.name;
    for (const OffsetDeleteRequest::Partition& partition : topic.partitions) {
      out.partitions.emplace_back().partition_index = partition.partition_index;
      where.push_back({topic.name, partition.partition_index});
    }
  }
  if (!legal_group_id(request.group_id)) {
    response.error_code = ErrorCode::invalid_group_id;
    response.topics.clear();
    return call.reply(response);
  }
  call.broker().groups().forget(call.context(), std::move(request.group_id), std::move(where),
                                [call, response = std::move(response)](Result<std::vector<Status>> forgotten) mutable {
                                  if (!forgotten) {
                                    const bool unknown = forgotten.error().code == Errc::unknown_group;
                                    response.error_code = unknown ? ErrorCode::group_id_not_found : group_error(forgotten.error());
                                    response.topics.clear();
                                    return call.reply(response);
                                  }
                                  std::size_t i = 0;
                                  for (OffsetDeleteResponse::Topic& topic : response.topics) {
                                    for (OffsetDeleteResponse::Partition& partition : topic.partitions) {
                                      const Status& status = (*forgotten)[i++];
                                      if (status) continue;
                                      const bool subscribed = status.error().code == Errc::conflict;
                                      partition.error_code =
                                          subscribed ? ErrorCode::group_subscribed_to_topic : to_wire(status.error().code);
                                    }
                                  }
                                  call.reply(response);
                                });
}

}  // namespace tidemark::kafka
