#include "tools/tidemark/command_tree.h"

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

using testing::HasSubstr;

class CommandTree : public testing::Test {
 protected:
  CommandTree() {
    root.fallthrough();
    root.add_option("-s,--server", server);
    root.add_flag("-y,--yes", yes);
    CLI::App* const topic = root.add_subcommand("topic", "Topics")->alias("topics");
    topic->add_subcommand("create", "Make one")->add_option("--partitions", partitions);
    topic->add_subcommand("ls", "List")->alias("list");
    topic->add_subcommand("show", "Look")->add_option("topic", name);
    root.add_subcommand("produce", "Write");
    root.add_subcommand("names", "For scripts")->group("");
  }
  std::string explain(const std::vector<std::string>& arguments) { return explain_unknown_verb(root, arguments); }

  CLI::App root{"", "tidemark"};
  std::string server;
  bool yes = false;
  int partitions = 0;
  std::string name;
};

TEST_F(CommandTree, suggests_the_verb_that_was_meant) {
  EXPECT_EQ(explain({"tpic", "ls"}), "unknown verb `tpic`; did you mean `topic`?");
  EXPECT_EQ(explain({"topic", "craete"}), "unknown verb `craete` of `topic`; did you mean `create`?");
  EXPECT_EQ(explain({"topics", "cr"}), "unknown verb `cr` of `topic`; did you mean `create`?");
  EXPECT_EQ(explain({"topic", "lst"}), "unknown verb `lst` of `topic`; did you mean `ls`?");
}

TEST_F(CommandTree, lists_the_verbs_when_none_is_near_or_none_is_given) {
  EXPECT_EQ(explain({"banana"}), "unknown verb `banana`; known are topic, produce");
  EXPECT_EQ(explain({"topic"}), "`topic` needs a verb: create, ls, show");
  EXPECT_EQ(explain({}), "`tidemark` needs a verb: topic, produce");
}

TEST_F(CommandTree, is_not_confused_by_flags_and_their_values) {
  EXPECT_EQ(explain({"-s", "topic:1", "-y", "prduce"}), "unknown verb `prduce`; did you mean `produce`?");
  EXPECT_EQ(explain({"--server=x", "topic", "-s", "y", "creat"}), "unknown verb `creat` of `topic`; did you mean `create`?");
  EXPECT_EQ(explain({"-sx", "produce", "anything"}), "");
  EXPECT_EQ(explain({"topic", "create", "--partitons", "3"}), "");
}

TEST_F(CommandTree, completes_every_verb_and_flag) {
  const std::string bash = completion_script(root, "bash");
  EXPECT_THAT(bash, HasSubstr("'topic') candidates='create ls show "));
  EXPECT_THAT(bash, HasSubstr("'topic create') candidates='--help --partitions --server --yes' names=''"));
  EXPECT_THAT(completion_script(root, "zsh"), HasSubstr("bashcompinit"));
  EXPECT_THAT(completion_script(root, "fish"),
              HasSubstr("complete -c tidemark -n '__fish_seen_subcommand_from topic' -a create -d 'Make one'"));
  EXPECT_EQ(completion_script(root, "csh"), "");
}

TEST_F(CommandTree, completes_names_that_only_the_broker_knows) {
  const std::string bash = completion_script(root, "bash");
  EXPECT_THAT(bash, HasSubstr("'topic show') candidates='--help --server --yes' names='topics'"));
  EXPECT_THAT(bash, HasSubstr("-g) candidates='' names=groups"));
  EXPECT_THAT(bash, testing::Not(HasSubstr("'names')")));
  EXPECT_THAT(completion_script(root, "fish"), HasSubstr("-a '(tidemark names topics 2>/dev/null)'"));
}

}  // namespace
}  // namespace tidemark::tools
