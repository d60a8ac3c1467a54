#include "tools/tidemark/command_tree.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "storage/base/closest_word.h"
#include "tools/tidemark/options.h"

namespace tidemark::tools {
namespace {

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* verb) { return !verb->get_name().empty() && !verb->get_group().empty(); });
}

std::vector<std::string> names_of(const CLI::App& app, bool with_aliases) {
  std::vector<std::string> names;
  for (const CLI::App* const verb : verbs_of(app)) {
    names.push_back(verb->get_name());
    if (with_aliases) names.insert(names.end(), verb->get_aliases().begin(), verb->get_aliases().end());
  }
  return names;
}

const CLI::App* find_verb(const CLI::App& app, std::string_view name) {
  for (const CLI::App* const verb : verbs_of(app)) {
    if (verb->get_name() == name || std::ranges::find(verb->get_aliases(), name) != verb->get_aliases().end()) return verb;
  }
  return nullptr;
}

/// Whether the argument after this flag is its value.
bool takes_value(const CLI::App& app, const std::string& flag) {
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    if (const CLI::Option* const option = level->get_option_no_throw(flag)) return option->get_items_expected_max() > 0;
  }
  return false;
}

/// The verb a word was meant to be: one that begins with it, or one that is a slip away; empty when there is none.
std::string closest_verb(std::string_view word, const std::vector<std::string>& verbs) {
  ClosestWord closest(word);
  for (const std::string& verb : verbs) {
    if (word.size() >= 2 && verb.starts_with(word)) return verb;
    closest.offer(verb);
  }
  return closest.best();
}

struct CommandPath {
  std::string words;  ///< "topic create"; empty for the root.
  const CLI::App* app = nullptr;
};

void collect(const CLI::App& app, const std::string& words, std::vector<CommandPath>& paths) {
  paths.push_back({words, &app});
  for (const CLI::App* const verb : verbs_of(app)) collect(*verb, words.empty() ? verb->get_name() : words + " " + verb->get_name(), paths);
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* const option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
  }
  std::ranges::sort(flags);
  const auto repeated = std::ranges::unique(flags);
  flags.erase(repeated.begin(), repeated.end());
  return flags;
}

std::string candidates_of(const CommandPath& path) {
  std::vector<std::string> words = names_of(*path.app, false);
  const std::vector<std::string> flags = flags_of(*path.app);
  words.insert(words.end(), flags.begin(), flags.end());
  return fmt::format("{}", fmt::join(words, " "));
}

/// Which names a verb is about: "topics", "groups", or neither.
std::string names_for(const CLI::App& app) {
  if (app.get_name() == "create") return {};  // A new name is no known one.
  for (const CLI::Option* const option : app.get_options([](const CLI::Option* each) { return each->get_positional(); })) {
    const std::string name = option->get_name(true);
    if (name == "topic" || name == "topics") return "topics";
    if (name == "group" || name == "groups") return "groups";
  }
  return {};
}

/// Behind these flags stands a name, whatever the verb.
struct NamedFlag {
  std::string_view flag;
  std::string_view names;
};
constexpr NamedFlag kNamedFlags[] = {{"-g", "groups"}, {"--group", "groups"}, {"--topic", "topics"}, {"--into", "topics"}};

/// The words on the line that are no flags pick the candidates; the longest known prefix of them wins.
std::string bash_script(const std::vector<CommandPath>& paths) {
  std::string script =
      "_tidemark() {\n"
      "  local word path='' candidates='' names='' current=\"${COMP_WORDS[COMP_CWORD]}\"\n"
      "  for word in '' \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$word\" in -*) continue ;; esac\n"
      "    path=\"${path:+$path }$word\"\n"
      "    case \"$path\" in\n";
  for (const CommandPath& path : paths) {
    script += fmt::format("      '{}') candidates='{}' names='{}' ;;\n", path.words, candidates_of(path), names_for(*path.app));
  }
  script +=
      "    esac\n"
      "  done\n"
      "  case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n";
  for (const NamedFlag& named : kNamedFlags) script += fmt::format("    {}) candidates='' names={} ;;\n", named.flag, named.names);
  return script +
         "  esac\n"
         "  if [[ -n $names && $current != -* ]]; then candidates+=\" $(tidemark names \"$names\" 2>/dev/null)\"; fi\n"
         "  COMPREPLY=($(compgen -W \"$candidates\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _tidemark tidemark\n";
}

std::string fish_script(const std::vector<CommandPath>& paths) {
  std::string script = "complete -c tidemark -f\n";
  for (const CommandPath& path : paths) {
    std::string condition = "__fish_use_subcommand";
    if (!path.words.empty()) {
      condition.clear();
      std::string_view rest = path.words;
      while (!rest.empty()) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        condition += fmt::format("{}__fish_seen_subcommand_from {}", condition.empty() ? "" : "; and ", word);
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      }
    }
    for (const CLI::App* const verb : verbs_of(*path.app)) {
      script += fmt::format("complete -c tidemark -n '{}' -a {} -d '{}'\n", condition, verb->get_name(), verb->get_description());
    }
    if (const std::string names = names_for(*path.app); !names.empty()) {
      script += fmt::format("complete -c tidemark -n '{}' -a '(tidemark names {} 2>/dev/null)'\n", condition, names);
    }
    for (const std::string& flag : flags_of(*path.app)) {
      script += fmt::format("complete -c tidemark -n '{}' -l {}\n", condition, flag.substr(2));
    }
  }
  return script;
}

}  // namespace

std::string explain_unknown_verb(const CLI::App& root, const std::vector<std::string>& arguments) {
  const CLI::App* app = &root;
  for (std::size_t i = 0; i < arguments.size() && !verbs_of(*app).empty(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") break;
    if (argument.starts_with('-') && argument.size() > 1) {
      const bool value_inside = argument.find('=') != std::string::npos || (argument[1] != '-' && argument.size() > 2);
      if (!value_inside && takes_value(*app, argument)) ++i;
      continue;
    }
    const CLI::App* const verb = find_verb(*app, argument);
    if (verb != nullptr) {
      app = verb;
      continue;
    }
    const std::string where = app == &root ? "" : " of `" + app->get_name() + "`";
    const std::vector<std::string> names = names_of(*app, true);
    const std::string meant = closest_verb(argument, names);
    if (!meant.empty()) return fmt::format("unknown verb `{}`{}; did you mean `{}`?", argument, where, meant);
    return fmt::format("unknown verb `{}`{}; known are {}", argument, where, fmt::join(names_of(*app, false), ", "));
  }
  const std::vector<std::string> missing = names_of(*app, false);
  if (missing.empty()) return {};
  return fmt::format("`{}` needs a verb: {}", app == &root ? "tidemark" : app->get_name(), fmt::join(missing, ", "));
}

std::string completion_script(const CLI::App& root, std::string_view shell) {
  std::vector<CommandPath> paths;
  collect(root, "", paths);
  if (shell == "bash") return bash_script(paths);
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(paths);
  if (shell == "fish") return fish_script(paths);
  return {};
}

void add_completion_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const command = root.add_subcommand("completion", "Print a completion script: source <(tidemark completion bash)");
  const auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&root, &invocation, shell] {
    invocation.action = [&root, shell](const Globals&, Interrupts&) {
      return write_stdout(completion_script(root, *shell)) ? Exit::done : Exit::failed;
    };
  });
}

}  // namespace tidemark::tools
