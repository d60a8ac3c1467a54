#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"

namespace tidemark::tools {

struct SettingKey {
  std::string name;  ///< Dotted; the part before the first dot is its section in the file.
  std::string default_value;
  std::string help;
};

/// Every setting of the server, those of one section together. Settings of `topic.` are the defaults of topic configs.
const std::vector<SettingKey>& setting_keys();

struct Setting {
  std::string value;
  std::string source = "default";  ///< "default", "tidemark.toml:3", "TIDEMARKD_SHARDS" or "--shards".
};

/// The value of every setting and where it comes from. Merge in rising precedence: file, environment, flags.
/// Values are text here; make_config() checks them.
class Settings {
 public:
  Settings();

  /// TOML with the dotted keys as sections. Errors name file and line: not TOML, an unknown key (with a suggestion), a value that is
  /// neither text, number nor boolean.
  Status merge_file(std::string_view toml, const std::string& path);
  /// Variables TIDEMARKD_<SECTION>_<KEY>, compared with the keys by reading every `.` as `_`. Returns a warning for each unknown one.
  std::vector<std::string> merge_environment(const std::map<std::string, std::string>& variables);
  /// The key must be one of setting_keys().
  void set(std::string_view key, std::string value, std::string source);

  const Setting& at(std::string_view key) const;
  /// A configuration file with these values; comments tell meaning, default and source.
  std::string to_toml() const;

 private:
  std::map<std::string, Setting, std::less<>> values_;
};

}  // namespace tidemark::tools
