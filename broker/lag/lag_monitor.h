#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/lag/lag_types.h"
#include "storage/file_system.h"

namespace tidemark::broker {

/// Watches how far all groups of a broker are: asks Groups and Queues every few seconds, keeps the past, and answers with it what they
/// answer without. Stands beside the broker and uses its public calls only.
///
/// The past is a sample of each group in each partition every 5 s for an hour, every minute for a day, every 15 minutes for 30 days, in at
/// most Options::history_bytes_max; with very many groups it gets coarser. It is work for the disk pool, not for a shard. It is written to
/// one file now and then and at stop(): a crash loses the minutes since, a damaged file is set aside with a warning. Nothing but history
/// hangs on it.
class LagMonitor {
 public:
  struct Options {
    std::string path;  ///< Of the history file; empty: none.
    std::chrono::milliseconds interval{5'000};
    std::chrono::milliseconds save_interval{5 * 60'000};
    std::size_t history_bytes_max = 32 * 1024 * 1024;
  };

  /// Broker, runtime and files must live until stop() has answered.
  LagMonitor(Broker& broker, Runtime& runtime, storage::FileSystem& files, Options options);
  ~LagMonitor();

  /// Reads the history and begins to watch. From any thread, once.
  void start();
  /// Ends the watch and writes the history; `done` on any thread. Before the broker's stop().
  void stop(Task done);

  /// Stream and queue groups, by kind, group, topic, partition. `group` nullopt: all. Error unknown_group: neither kind has it.
  /// On a shard, as all engine calls; so is the answer.
  void rows(const RequestContext& context, std::optional<std::string> group, Done<std::vector<LagRow>> done);
  /// The same without queue groups.
  void stream_rows(const RequestContext& context, std::optional<std::string> group, Done<std::vector<LagRow>> done);
  /// Of one group over its partitions, oldest first; empty: nothing was sampled. `topic` chooses among queue groups of one name.
  struct HistoryQuery {
    std::string group;
    GroupKind kind = GroupKind::stream;
    std::string topic;
    std::chrono::milliseconds span{3'600'000};  ///< Back from now.
  };
  void history(const RequestContext& context, HistoryQuery query, Done<std::vector<LagPoint>> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidemark::broker
