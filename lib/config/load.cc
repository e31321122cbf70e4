#include "base/file.h"
#include "config/options.h"

namespace mnemo {

Config load_config(const std::string& path, const std::vector<std::string>& sets, const ConfigCheck& check) {
  return parse_config(read_file(path), path, sets, check);
}

}  // namespace mnemo
