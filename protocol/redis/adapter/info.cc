#include "protocol/redis/adapter/info.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

struct Sight {
  const Call& call;
  const broker::BrokerStatus& status;
  std::string text;

  void line(std::string_view name, std::string_view value) { text.append(name).append(":").append(value).append("\r\n"); }
  void line(std::string_view name, std::uint64_t value) { line(name, std::to_string(value)); }
};

std::string human(std::uint64_t bytes) {
  static constexpr std::array kUnits = {"B", "K", "M", "G", "T"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  char out[32];
  std::snprintf(out, sizeof out, "%.2f%s", value, kUnits[unit]);
  return out;
}

void server(Sight& sight) {
  const ServerState& state = sight.call.server();
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(sight.call.runtime().clock().now() - state.started).count();
  sight.line("redis_version", state.facts.redis_version());
  sight.line("tidemark_version", state.facts.version);
  sight.line("redis_mode", "standalone");
  sight.line("arch_bits", sizeof(void*) * 8);
  sight.line("multiplexing_api", "epoll");
  sight.line("run_id", state.run_id);
  sight.line("tcp_port", state.facts.port);
  sight.line("server_time_usec", static_cast<std::uint64_t>(sight.call.runtime().clock().now().time_since_epoch().count()) * 1000);
  sight.line("uptime_in_seconds", static_cast<std::uint64_t>(uptime));
  sight.line("uptime_in_days", static_cast<std::uint64_t>(uptime / 86400));
  sight.line("io_threads_active", sight.call.runtime().shard_count());
}

void clients(Sight& sight) {
  Clients& all = sight.call.server().clients;
  sight.line("connected_clients", all.connected());
  sight.line("cluster_connections", std::uint64_t{0});
  sight.line("blocked_clients", all.blocked().load());
  sight.line("tracking_clients", std::uint64_t{0});
  sight.line("clients_in_timeout_table", std::uint64_t{0});
  if (sight.call.redis_7_0()) return;
  const auto [keys, on_nokey] = sight.call.server().blocking_keys.counts();
  sight.line("total_blocking_keys", keys);
  sight.line("total_blocking_keys_on_nokey", on_nokey);
}

void memory(Sight& sight) {
  sight.line("used_memory", sight.status.memory_used_bytes);
  sight.line("used_memory_human", human(sight.status.memory_used_bytes));
  sight.line("maxmemory", sight.status.memory_limit_bytes);
  sight.line("maxmemory_human", human(sight.status.memory_limit_bytes));
  sight.line("maxmemory_policy", "noeviction");
}

void persistence(Sight& sight) {
  sight.line("loading", std::uint64_t{0});  // A broker that answers has recovered.
  sight.line("async_loading", std::uint64_t{0});
  sight.line("rdb_changes_since_last_save", std::uint64_t{0});
  sight.line("rdb_bgsave_in_progress", std::uint64_t{0});
  sight.line("aof_enabled", std::uint64_t{1});
  sight.line("aof_rewrite_in_progress", std::uint64_t{0});
  sight.line("aof_last_write_status", sight.status.read_only_reason ? "err" : "ok");
}

void stats(Sight& sight) {
  const Statistics& statistics = sight.call.server().statistics;
  sight.line("total_connections_received", statistics.connections());
  sight.line("total_commands_processed", statistics.commands());
  sight.line("total_net_input_bytes", statistics.input_bytes());
  sight.line("total_net_output_bytes", statistics.output_bytes());
  sight.line("total_error_replies", statistics.errors());
}

void replication(Sight& sight) {
  sight.line("role", "master");
  sight.line("connected_slaves", std::uint64_t{0});
  sight.line("master_replid", sight.call.server().run_id);
  sight.line("master_repl_offset", std::uint64_t{0});
}

void errorstats(Sight& sight) {
  for (const auto& [code, count] : sight.call.server().statistics.errors_by_code())
    sight.line("errorstat_" + code, "count=" + std::to_string(count));
}

void command_line(Sight& sight, const CommandSpec& command) {
  const Statistics::Command seen = sight.call.server().statistics.command(command);
  if (seen.calls + seen.rejected == 0) return;
  char each[32];
  std::snprintf(each, sizeof each, "%.2f",
                seen.calls == 0 ? 0.0 : static_cast<double>(seen.microseconds) / static_cast<double>(seen.calls));
  sight.line("cmdstat_" + std::string(command.name), "calls=" + std::to_string(seen.calls) + ",usec=" + std::to_string(seen.microseconds) +
                                                         ",usec_per_call=" + each + ",rejected_calls=" + std::to_string(seen.rejected) +
                                                         ",failed_calls=" + std::to_string(seen.failed));
}

void commandstats(Sight& sight) {
  for (const CommandSpec* const command : all_commands()) {
    command_line(sight, *command);
    for (const CommandSpec& subcommand : command->subcommands) command_line(sight, subcommand);
  }
}

void cluster(Sight& sight) { sight.line("cluster_enabled", std::uint64_t{0}); }

void keyspace(Sight& sight) {
  const std::vector<broker::EntryKey> keys = sight.call.broker().entries().keys();
  if (keys.empty()) return;
  const auto expiring = std::ranges::count_if(keys, [](const broker::EntryKey& key) { return key.expires.has_value(); });
  sight.line("db0", "keys=" + std::to_string(keys.size()) + ",expires=" + std::to_string(expiring) + ",avg_ttl=0");
}

struct Section {
  std::string_view name;
  std::string_view title;
  bool by_default;
  void (*write)(Sight&);
};

constexpr std::array kSections = {
    Section{"server", "Server", true, server},
    Section{"clients", "Clients", true, clients},
    Section{"memory", "Memory", true, memory},
    Section{"persistence", "Persistence", true, persistence},
    Section{"stats", "Stats", true, stats},
    Section{"replication", "Replication", true, replication},
    Section{"commandstats", "Commandstats", false, commandstats},
    Section{"errorstats", "Errorstats", true, errorstats},
    Section{"cluster", "Cluster", true, cluster},
    Section{"keyspace", "Keyspace", true, keyspace},
};

bool wanted(const Section& section, std::span<const std::string_view> sections) {
  if (sections.empty()) return section.by_default;
  return std::ranges::any_of(sections, [&](std::string_view name) {
    return is_word(name, section.name) || is_word(name, "all") || is_word(name, "everything") ||
           (is_word(name, "default") && section.by_default);
  });
}

}  // namespace

std::string info_text(const Call& call, std::span<const std::string_view> sections, const broker::BrokerStatus& status) {
  Sight sight{call, status, {}};
  for (const Section& section : kSections) {
    if (!wanted(section, sections)) continue;
    if (!sight.text.empty()) sight.text += "\r\n";
    sight.text += "# " + std::string(section.title) + "\r\n";
    section.write(sight);
  }
  return std::move(sight.text);
}

}  // namespace tidemark::redis
