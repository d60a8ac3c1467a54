#include "tools/tidemark/group_queue.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "tools/tidemark/queue_commands.h"

namespace tidemark::tools {
namespace {

void add_pending(CLI::App& group, Invocation& invocation) {
  CLI::App* const verb = group.add_subcommand("pending", "Unfinished records of a queue group: who has them, how often they failed");
  const auto options = std::make_shared<GroupPendingOptions>();
  add_group_name(*verb, options->name);
  verb->add_option("--older", options->older, "Only those handed out so long ago")->type_name("DURATION");
  verb->add_option("--member", options->member, "Only those of this member");
  verb->add_option("--state", options->states, "Only available, acquired, retrying, delayed, parked or dying ones; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("-p,--partition", options->partition, "Only those of this partition");
  verb->add_option("-n,--count", options->count, "How many")->check(CLI::Range(1, 10'000))->capture_default_str();
  verb->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts&) { return group_pending(*options, globals); };
  });
}

void add_pausing(CLI::App& group, Invocation& invocation) {
  CLI::App* const pause = group.add_subcommand("pause", "Hand out nothing more; what is in flight may be finished");
  const auto options = std::make_shared<GroupPauseOptions>();
  add_group_name(*pause, options->name);
  pause->add_option("--until", options->until, "When it goes on by itself: 2026-03-01T10:00, or 30m from now")->type_name("TIME");
  pause->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts&) { return group_pause(*options, globals); };
  });

  CLI::App* const resume = group.add_subcommand("resume", "Hand out again");
  const auto name = std::make_shared<GroupName>();
  add_group_name(*resume, *name);
  resume->callback(
      [&invocation, name] { invocation.action = [name](const Globals& globals, Interrupts&) { return group_resume(*name, globals); }; });
}

void add_intervening(CLI::App& group, Invocation& invocation) {
  CLI::App* const release = group.add_subcommand("release", "Take records back from their members; others may have them at once");
  const auto releasing = std::make_shared<GroupReleaseOptions>();
  add_group_name(*release, releasing->name);
  release->add_option("--member", releasing->member, "Only what this member has");
  release->add_option("--older", releasing->older, "Only what was handed out so long ago")->type_name("DURATION");
  release->add_option("records", releasing->records, "Only these: TOPIC:PARTITION:OFFSET");
  release->callback([&invocation, releasing] {
    invocation.action = [releasing](const Globals& globals, Interrupts&) { return group_release(*releasing, globals); };
  });

  CLI::App* const kick = group.add_subcommand("kick", "Parked and delayed records are available now");
  const auto kicking = std::make_shared<GroupKickOptions>();
  add_group_name(*kick, kicking->name);
  kick->add_option("--match", kicking->match, "Only records for which this holds: key = \"42\"")->type_name("EXPR");
  kick->add_option("records", kicking->records, "Only these: TOPIC:PARTITION:OFFSET");
  kick->callback([&invocation, kicking] {
    invocation.action = [kicking](const Globals& globals, Interrupts&) { return group_kick(*kicking, globals); };
  });

  CLI::App* const purge = group.add_subcommand("purge", "Finish every record of a queue group that no member has, unworked");
  const auto name = std::make_shared<GroupName>();
  add_group_name(*purge, *name);
  purge->callback(
      [&invocation, name] { invocation.action = [name](const Globals& globals, Interrupts&) { return group_purge(*name, globals); }; });
}

}  // namespace

void add_queue_verbs(CLI::App& group, Invocation& invocation) {
  add_pending(group, invocation);
  add_pausing(group, invocation);
  add_intervening(group, invocation);
}

}  // namespace tidemark::tools
