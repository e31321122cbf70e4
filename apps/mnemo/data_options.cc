#include "apps/mnemo/data_options.h"

#include "apps/mnemo/terminal.h"
#include "base/error.h"

namespace mnemo {

void add_data_options(Command& command, DataOptions& options, const std::vector<std::string>& formats,
                      const std::string& by_default) {
  command.group("Input");
  command.option("--format-in", "FORMAT", &options.format_in, "Format of the data")
      .one_of(formats)
      .by_default(by_default);
  add_invalid_utf8(command, options.invalid_utf8, "Bytes that are not UTF-8");
}

void add_invalid_utf8(Command& command, std::string& policy, const std::string& help) {
  command.option("--invalid-utf8", "", &policy, help + ": stop, replace them with U+FFFD, or drop them")
      .one_of({"error", "replace", "skip"});
}

OpenRequest open_request(const std::string& path, const DataOptions& options, const std::string& what) {
  return {path, options.format_in, what, options.policy(), say};
}

}  // namespace mnemo
