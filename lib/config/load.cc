#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "config/checks.h"
#include "config/options.h"

namespace mnemo {

std::string read_config(const std::string& path) {
  // Reading a device may never end.
  std::error_code none;
  const auto status = std::filesystem::status(path, none);
  if (std::filesystem::is_character_file(status) || std::filesystem::is_block_file(status))
    fail("{}: expected a configuration file, found a device", path);
  return read_file(path);
}

Config parse_run_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets,
                        const ConfigCheck& check, const GivenDefaults& given, Conflicts conflicts) {
  const auto check_all = [&](const Config& config, std::vector<std::string>& errors) {
    check_data_files(config, errors);
    if (check) check(config, errors);
  };
  return parse_config(text, name, sets, check_all, given, conflicts);
}

Config load_config(const std::string& path, const std::vector<std::string>& sets, const ConfigCheck& check) {
  return parse_run_config(read_config(path), path, sets, check, {});
}

}  // namespace mnemo
