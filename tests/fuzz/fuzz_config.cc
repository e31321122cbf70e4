// For any text: a configuration that prints and reads back as itself, or a UsageError. The first line of the input is a
// `--set`, the rest is the file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/options.h"

namespace {
void require(bool truth) {
  if (!truth) __builtin_trap();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string set = input.substr(0, end), file = end < input.size() ? input.substr(end + 1) : "";
  try {
    const mnemo::Config config =
        mnemo::parse_config(file, "fuzz", set.empty() ? std::vector<std::string>{} : std::vector{set});
    const std::string printed = mnemo::config_to_json(config).dump();
    require(mnemo::config_to_json(mnemo::parse_config(printed, "printed")).dump() == printed);
  } catch (const mnemo::UsageError&) {
  }
  return 0;
}
