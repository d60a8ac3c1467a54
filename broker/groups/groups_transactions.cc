#include <algorithm>

#include "broker/groups/groups_impl.h"
#include "storage/base/printable.h"

/// Offsets that are committed with a transaction (KIP-98, KIP-447): pending until it ends.
namespace tidemark::broker {

void Groups::commit_in_transaction(const RequestContext&, CommitRequest request, ProducerIdentity producer, Done<CommitReply> done) {
  const std::string name = request.group;
  GroupsImpl* const impl = impl_.get();
  impl->on_home<CommitReply>(name, std::move(done), [impl, producer, request = std::move(request)](Done<CommitReply> answer) mutable {
    impl->commit_in_transaction(std::move(request), producer, std::move(answer));
  });
}

void GroupsImpl::commit_in_transaction(CommitRequest request, ProducerIdentity producer, Done<CommitReply> done) {
  const auto& admitted = here().admitted;
  const auto admission = admitted.find({request.group, producer.id});
  if (admission == admitted.end() || admission->second < producer.epoch) {
    return done(Error{Errc::invalid_transaction_state,
                      "group '" + printable(request.group) + "' is in no open transaction of producer " + std::to_string(producer.id)});
  }
  if (admission->second > producer.epoch) {
    return done(Error{Errc::stale_producer_epoch, "producer " + std::to_string(producer.id) + " epoch " + std::to_string(producer.epoch) +
                                                      " was replaced by epoch " + std::to_string(admission->second)});
  }
  GroupPtr group = find(request.group);
  if (group && group->removing) return done(Error{Errc::conflict, "group '" + printable(request.group) + "' is being removed"});
  // A producer that names no member speaks for itself, whoever is in the group: before KIP-447 none could name one.
  const bool nobody = request.member.empty() && request.epoch < 0;
  if (!group && !(request.member.empty() && request.epoch <= 0)) {
    return done(Error{Errc::unknown_group, "no group '" + printable(request.group) + "'"});
  }
  if (!group) group = make(request.group, StartAt{});
  if (!nobody) {
    if (Status may = may_commit(group, request); !may) return done(std::move(may).error());
  }
  const bool assigned_here = !nobody && !group->state.members().empty();
  const std::uint64_t order = ++group->commit_order;
  const Timestamp now = broker.runtime.clock().now();
  CommitReply reply(request.entries.size());
  for (std::size_t i = 0; i < request.entries.size(); ++i) {
    const CommitRequest::Entry& entry = request.entries[i];
    const Result<PartitionKey> key = judge_commit(entry);
    if (!key) {
      reply[i] = key.error();
      continue;
    }
    // Who holds the partition now goes on from what was committed before: what its former owner did since is not to count.
    if (assigned_here) reply[i] = group->state.members().may_commit(request.member, request.epoch, *key);
    if (reply[i]) group->state.commit_pending(producer, *key, {entry.offset, entry.leader_epoch, entry.metadata, now}, order);
  }
  answer_settled(group, std::move(reply), std::move(done));
}

void GroupsImpl::admit_transaction(const std::string& name, const ProducerIdentity& producer, Done<void> done) {
  on_home<void>(name, std::move(done), [this, name, producer](Done<void> answer) {
    here().admitted[{name, producer.id}] = producer.epoch;
    answer(Status());
  });
}

void GroupsImpl::end_transaction(const std::string& name, const ProducerIdentity& producer, bool commit, Done<void> done) {
  on_home<void>(name, std::move(done), [this, name, producer, commit](Done<void> answer) {
    here().admitted.erase({name, producer.id});
    const GroupPtr group = find(name);
    if (!group || group->removing) return answer(Status());  // With it go its offsets.
    group->state.end_pending(producer.id, commit, topics(broker.current_shard()));
    // Also where nothing was pending: an earlier attempt may have failed to be recorded.
    settle(group, std::move(answer));
  });
}

}  // namespace tidemark::broker
