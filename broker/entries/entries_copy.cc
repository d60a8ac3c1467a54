#include "broker/entries/entries_impl.h"
#include "broker/entries/entry_ids.h"
#include "storage/base/log.h"

/// COPY: a topic is filled under a name of its own and then renamed, so that it appears in one step.
namespace tidemark::broker {
namespace {

constexpr std::string_view kUnfinished = "__tidemark_copy_";

EntryAppend to_append(const Entry& entry) {
  EntryAppend append;
  append.id = {EntryIdAsked::Kind::exact, entry.id};
  std::size_t bytes = 0;
  for (const EntryField& field : entry.fields) bytes += field.name.size() + field.value.size();
  append.owner = Slice::allocate(bytes);
  std::byte* at = append.owner.data();
  const auto keep = [&at](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    const std::string_view kept(reinterpret_cast<const char*>(at), text.size());
    at += text.size();
    return kept;
  };
  for (const EntryField& field : entry.fields) {
    const std::string_view name = keep(field.name);
    append.fields.push_back({name, keep(field.value)});
  }
  return append;
}

}  // namespace

struct EntriesImpl::CopyJob {
  std::string from;
  std::string to;
  std::string unfinished;
  bool replace = false;
  bool made = false;
  EntryStats stats;  ///< Of the source as it was.
  EntryRange range;
  std::size_t appending = 0;
  Status failed;
  bool more = false;
  Done<void> done;
};

void EntriesImpl::copy(std::string from, std::string to, bool replace, Done<void> done) {
  const Topic* const source = find_topic(from);
  if (source == nullptr) return done(broker.unknown_topic(from));
  if (const Status valid = validate_topic_name(to); !valid) return done(valid.error());
  if (!replace && find_topic(to) != nullptr) return done(Error{Errc::conflict, "'" + to + "' exists"});
  auto job = std::make_shared<CopyJob>();
  job->from = std::move(from);
  job->to = std::move(to);
  job->replace = replace;
  job->done = std::move(done);
  job->unfinished = std::string(kUnfinished) + Uuid::from_random(broker.runtime.random(), broker.runtime.random()).to_string();
  TopicSpec spec{.name = job->unfinished, .partitions = 1, .config = source->config};
  Done<std::shared_ptr<const Topic>> made = [this, job](Result<std::shared_ptr<const Topic>> topic) {
    if (!topic) return finish_copy(job, std::move(topic).error());
    job->made = true;
    on_entries<EntryStats>(
        {job->from, 0}, false,
        [this, job](Result<EntryStats> stats) {
          if (!stats) return finish_copy(job, std::move(stats).error());
          job->stats = *stats;
          job->range.last = stats->last_id;
          copy_on(job);
        },
        [](PartitionEntries& entries, Done<EntryStats> answer) { answer(entries.stats()); });
  };
  on_metadata<std::shared_ptr<const Topic>>(std::move(made), [this, spec](auto answer) { broker.create(spec, std::move(answer)); });
}

/// A piece is read, appended, and when all of it is flushed the next one follows.
void EntriesImpl::copy_on(std::shared_ptr<CopyJob> job) {
  const auto piece_done = [this, job] {
    if (--job->appending > 0) return;
    if (!job->failed) return finish_copy(job, job->failed);
    if (job->more) return copy_on(job);
    const EntrySetId values{
        .last_id = job->stats.last_id, .entries_added = job->stats.entries_added, .max_deleted = job->stats.max_deleted};
    on_entries<EntryRefusal>(
        {job->unfinished, 0}, true,
        [this, job](Result<EntryRefusal> set) {
          if (!set) return finish_copy(job, std::move(set).error());
          finish_copy(job, {});
        },
        [values](PartitionEntries& entries, Done<EntryRefusal> answer) { entries.set_id(values, std::move(answer)); });
  };
  Done<EntryBatch> read = [this, job, piece_done](Result<EntryBatch> batch) {
    if (!batch) return finish_copy(job, std::move(batch).error());
    const std::optional<EntryId> next = id_after(batch->resume_at);
    job->more = batch->more && next;
    if (next) job->range.first = *next;
    job->appending = batch->entries.size() + 1;
    for (const Entry& entry : batch->entries) {
      append({job->unfinished, 0}, to_append(entry), [job, piece_done](Result<EntryAppended> appended) {
        if (!appended)
          job->failed = std::move(appended).error();
        else if (appended->refused != EntryRefusal::none)
          job->failed = Error{Errc::internal, "a copied entry was refused"};
        piece_done();
      });
    }
    piece_done();
  };
  on_entries<EntryBatch>({job->from, 0}, false, std::move(read),
                         [range = job->range](PartitionEntries& entries, auto answer) { entries.read(range, std::move(answer)); });
}

void EntriesImpl::finish_copy(std::shared_ptr<CopyJob> job, Status status) {
  Done<void> answer = [this, job](Status renamed) {
    if (renamed || !job->made) return job->done(std::move(renamed));
    on_metadata<void>([job, renamed = std::move(renamed)](Status) { job->done(renamed); },
                      [this, name = job->unfinished](auto removed) { broker.remove(name, std::move(removed)); });
  };
  if (!status) return answer(std::move(status));
  on_metadata<void>(std::move(answer),
                    [this, job](auto renamed) { broker.rename(job->unfinished, job->to, !job->replace, std::move(renamed)); });
}

void EntriesImpl::remove_unfinished_copies() {
  for (const auto& entry : broker.shards[0]->topics->by_name) {
    const std::string& name = entry.first;
    if (!name.starts_with(kUnfinished)) continue;
    broker.remove(name, broker.tracked<void>([name](Status removed) {
      if (!removed) log_warn("'" + name + "', left of a copy, stays until the next start: " + removed.error().to_string());
    }));
  }
}

}  // namespace tidemark::broker
