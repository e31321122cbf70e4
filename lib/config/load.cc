#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "config/checks.h"
#include "config/options.h"

namespace mnemo {

Config load_config(const std::string& path, const std::vector<std::string>& sets, const ConfigCheck& check) {
  // Reading a device may never end.
  std::error_code none;
  const auto status = std::filesystem::status(path, none);
  if (std::filesystem::is_character_file(status) || std::filesystem::is_block_file(status))
    fail("{}: expected a configuration file, found a device", path);
  return parse_config(read_file(path), path, sets, [&](const Config& config, std::vector<std::string>& errors) {
    check_data_files(config, errors);
    if (check) check(config, errors);
  });
}

}  // namespace mnemo
