#include "base/file.h"
#include "config/options.h"

namespace mnemo {

Config load_config(const std::string& path, const std::vector<std::string>& sets) {
  return parse_config(read_file(path), path, sets);
}

}  // namespace mnemo
