#include "protocol/redis/adapter/command_table.h"

#include <gtest/gtest.h>

namespace tidemark::redis {
namespace {

std::string looked_up(const Arguments& arguments) {
  const Result<const CommandSpec*> command = look_up(arguments);
  return command ? std::string((*command)->name) : command.error().detail;
}

TEST(CommandTable, finds_commands_in_any_case) {
  EXPECT_EQ(looked_up({"xLeN", "k"}), "xlen");
  EXPECT_EQ(looked_up({"client", "ID"}), "client|id");
}

TEST(CommandTable, counts_arguments) {
  EXPECT_EQ(looked_up({"xlen"}), "ERR wrong number of arguments for 'xlen' command");
  EXPECT_EQ(looked_up({"xlen", "a", "b"}), "ERR wrong number of arguments for 'xlen' command");
  EXPECT_EQ(looked_up({"client"}), "ERR wrong number of arguments for 'client' command");
  EXPECT_EQ(looked_up({"client", "id", "x"}), "ERR wrong number of arguments for 'client|id' command");
}

TEST(CommandTable, says_what_it_does_not_know) {
  EXPECT_EQ(looked_up({"foo", "a", "b\r"}), "ERR unknown command 'foo', with args beginning with: 'a' 'b\r' ");
  EXPECT_EQ(looked_up({"client|id"}), "ERR unknown command 'client|id', with args beginning with: ");
  EXPECT_EQ(looked_up({"Client", "foo"}), "ERR unknown subcommand 'foo'. Try CLIENT HELP.");
  EXPECT_EQ(looked_up({std::string_view("f\0o", 3)}), "ERR unknown command 'f', with args beginning with: ");
}

TEST(CommandTable, quotes_no_more_than_redis_does) {
  const std::string text = looked_up({"foo", std::string(1000, 'x')});
  EXPECT_EQ(text, "ERR unknown command 'foo', with args beginning with: '" + std::string(128, 'x') + "' ");
}

TEST(CommandTable, says_of_other_data_types_that_they_are_not_served) {
  EXPECT_NE(looked_up({"LPUSH", "k", "v"}).find("Tidemark serves streams"), std::string::npos);
}

TEST(CommandTable, every_command_can_be_done_or_has_subcommands) {
  for (const CommandSpec* const command : all_commands()) {
    EXPECT_TRUE(command->handler != nullptr || !command->subcommands.empty()) << command->name;
    EXPECT_NE(command->arity, 0) << command->name;
    EXPECT_FALSE(command->summary.empty()) << command->name;
    for (const CommandSpec& subcommand : command->subcommands) {
      EXPECT_TRUE(subcommand.name.starts_with(std::string(command->name) + "|")) << subcommand.name;
      EXPECT_NE(subcommand.handler, nullptr) << subcommand.name;
    }
  }
}

TEST(CommandTable, knows_where_keys_stand) {
  const auto positions = [](const Arguments& arguments) { return key_positions(**look_up(arguments), arguments); };
  using Positions = std::vector<std::size_t>;
  EXPECT_EQ(positions({"xadd", "k", "*", "f", "v"}), (Positions{1}));
  EXPECT_EQ(positions({"del", "a", "b"}), (Positions{1, 2}));
  EXPECT_EQ(positions({"xread", "COUNT", "STREAMS", "BLOCK", "0", "STREAMS", "a", "b", "0", "0"}), (Positions{6, 7}));
  EXPECT_EQ(positions({"ping"}), Positions());
}

}  // namespace
}  // namespace tidemark::redis
