#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace tidemark::tools {

/// Why a command line without a known verb does not parse: "unknown verb `tpic`; did you mean `topic`?". Empty when the verbs are all
/// right and something else is wrong. With no verb at all, the list of verbs.
std::string explain_unknown_verb(const CLI::App& root, const std::vector<std::string>& arguments);

/// A completion script that knows every noun, verb and flag of the tree. `shell` is bash, zsh or fish; empty for any other.
std::string completion_script(const CLI::App& root, std::string_view shell);

}  // namespace tidemark::tools
