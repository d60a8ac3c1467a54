#include <memory>

#include <CLI/CLI.hpp>

#include "tools/tidemark/group_commands.h"
#include "tools/tidemark/group_queue.h"
#include "tools/tidemark/options.h"

namespace tidemark::tools {
namespace {

void add_looking(CLI::App& group, Invocation& invocation) {
  CLI::App* const list = group.add_subcommand("ls", "List the groups")->alias("list");
  const auto choice = std::make_shared<GroupName>();
  add_group_choice(*list, *choice);
  list->callback([&invocation, choice] {
    invocation.action = [choice](const Globals& globals, Interrupts&) { return group_list(*choice, globals); };
  });

  CLI::App* const show = group.add_subcommand("show", "A group's state, positions and members")->alias("describe");
  const auto shown = std::make_shared<GroupName>();
  add_group_name(*show, *shown);
  show->callback(
      [&invocation, shown] { invocation.action = [shown](const Globals& globals, Interrupts&) { return group_show(*shown, globals); }; });

  CLI::App* const lag = group.add_subcommand("lag", "How far behind each group is, in records and in time");
  const auto lagging = std::make_shared<GroupLagOptions>();
  lag->add_option("group", lagging->name.group, "Only this group");
  add_group_choice(*lag, lagging->name);
  lag->add_flag("-w,--watch", lagging->watch, "Again every second, until Ctrl-C");
  lag->callback([&invocation, lagging] {
    invocation.action = [lagging](const Globals& globals, Interrupts& interrupts) { return group_lag(*lagging, globals, interrupts); };
  });

  CLI::App* const members = group.add_subcommand("members", "Who consumes, and what");
  const auto of = std::make_shared<GroupName>();
  add_group_name(*members, *of);
  members->callback(
      [&invocation, of] { invocation.action = [of](const Globals& globals, Interrupts&) { return group_members(*of, globals); }; });

  CLI::App* const check = group.add_subcommand("check", "For monitoring: one line; exit 0 fine, 1 warning, 2 critical, 3 unknown");
  const auto checking = std::make_shared<GroupCheckOptions>();
  add_group_name(*check, checking->name);
  check->add_option("--lag-time", checking->lag_time, "A warning from this lag time on, such as 5m")->type_name("DURATION");
  check->add_option("--critical", checking->critical, "Critical from this lag time on")->type_name("DURATION");
  check->callback([&invocation, checking] {
    invocation.action = [checking](const Globals& globals, Interrupts&) { return group_check(*checking, globals); };
  });
}

void add_moving(CLI::App& group, Invocation& invocation) {
  CLI::App* const seek = group.add_subcommand("seek", "Move a group; without --execute only the plan is shown");
  const auto seeking = std::make_shared<GroupSeekOptions>();
  add_group_name(*seek, seeking->name);
  seek->get_option("--topic")->description("Only this topic; of several groups of that name, the one on it");
  seek->add_option("--to", seeking->to, "earliest, latest, 42, +5, -5, -15m, @2026-03-01T10:00, or group:G2 for where another group is")
      ->required()
      ->type_name("POS");
  seek->add_option("--partition", seeking->partition, "Only this partition");
  seek->add_flag("--execute", seeking->execute, "Do it");
  seek->add_flag("--force", seeking->force, "Although the group has members: they lose what they have and come back at the new place");
  seek->callback([&invocation, seeking] {
    invocation.action = [seeking](const Globals& globals, Interrupts&) { return group_seek(*seeking, globals); };
  });

  CLI::App* const history = group.add_subcommand("history", "How a stream group was moved");
  const auto of = std::make_shared<GroupName>();
  add_group_name(*history, *of);
  history->callback(
      [&invocation, of] { invocation.action = [of](const Globals& globals, Interrupts&) { return group_history(*of, globals); }; });

  CLI::App* const undo = group.add_subcommand("undo", "Take a stream group's last move back; without --execute only the plan is shown");
  const auto undoing = std::make_shared<GroupUndoOptions>();
  add_group_name(*undo, undoing->name);
  undo->add_flag("--execute", undoing->execute, "Do it");
  undo->add_flag("--force", undoing->force, "Although the group has members");
  undo->callback([&invocation, undoing] {
    invocation.action = [undoing](const Globals& globals, Interrupts&) { return group_undo(*undoing, globals); };
  });
}

void add_keeping(CLI::App& group, Invocation& invocation) {
  CLI::App* const create = group.add_subcommand("create", "Make a group before its first member comes");
  const auto creating = std::make_shared<GroupCreateOptions>();
  create->add_option("group", creating->group, "Name of the group")->required();
  create->add_option("--topic", creating->topics, "Topic it reads; may be repeated")->required()->allow_extra_args(false);
  create->add_flag("--queue", creating->queue, "A queue group: each record goes to one member, which acknowledges it");
  create->add_option("--from", creating->from, "Where it starts: earliest, latest, 42, -15m, @2026-03-01T10:00")
      ->type_name("POS")
      ->capture_default_str();
  create->add_option("settings", creating->settings, "KEY=VALUE, such as on.gone=fail, or ordering=key of a queue group");
  create->callback([&invocation, creating] {
    invocation.action = [creating](const Globals& globals, Interrupts&) { return group_create(*creating, globals); };
  });

  CLI::App* const alter = group.add_subcommand("alter", "Change settings");
  const auto altering = std::make_shared<GroupAlterOptions>();
  add_group_name(*alter, altering->name);
  alter->add_option("settings", altering->settings, "KEY=VALUE; an empty value goes back to the default")->required();
  alter->callback([&invocation, altering] {
    invocation.action = [altering](const Globals& globals, Interrupts&) { return group_alter(*altering, globals); };
  });

  CLI::App* const remove =
      group.add_subcommand("rm", "Remove stream groups without members and their positions, and queue groups")->alias("delete");
  const auto removing = std::make_shared<GroupRemoveOptions>();
  remove->add_option("groups", removing->groups, "Names")->required();
  add_group_choice(*remove, removing->choice);
  remove->callback([&invocation, removing] {
    invocation.action = [removing](const Globals& globals, Interrupts&) { return group_remove(*removing, globals); };
  });
}

}  // namespace

void add_group_commands(CLI::App& root, Invocation& invocation) {
  CLI::App* const group = root.add_subcommand("group", "Look at, move and keep consumer groups")->alias("groups");
  group->require_subcommand(1);
  add_looking(*group, invocation);
  add_moving(*group, invocation);
  add_keeping(*group, invocation);
  add_queue_verbs(*group, invocation);
}

}  // namespace tidemark::tools
