// mnemo: train and run LSTM networks on text. Parses the command line, runs a command, prints errors, ends the process.
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "checkpoint/format.h"
#include "kernels/product.h"
#include "kernels/targets.h"

namespace mnemo {

CommandOption& add_running(Command& command, int& threads) {
  threads = available_cores();
  command.group("Running");
  command.flag("-q,--quiet", &quiet, "Say nothing on standard error but what went wrong");
  return command.option("-j,--threads", "N", &threads, "Threads; results do not depend on it").range(1, 1024);
}

std::string version_text() {
#if defined(__clang__)
  const std::string compiler = "Clang " __clang_version__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
  return fmt::format(
      "mnemo {}\ncompiler: {}\ninstruction set: {} (available: {})\nmatrix products: {}\nmodel format: {}",
      MNEMO_VERSION, compiler, kernels::current_target(), fmt::join(kernels::available_targets(), ", "),
      kernels::product_provider(), format::kVersion);
}

namespace {

int run(int argc, char** argv) {
  Command program("mnemo", "train and run LSTM networks on text, on a CPU, from the shell");
  program.examples = {"mnemo train my.json", "echo 'a fine film' | mnemo classify run/model.safetensors",
                      "mnemo evaluate run/model.safetensors test.tsv --train train.tsv"};
  program.notes = "mnemo help COMMAND tells more of a command, mnemo config explain of a configuration's keys.";
  bool version = false;
  program.flag("-V,--version", &version, "Print version, compiler, instruction set and model format");
  for (const auto add : {add_train, add_evaluate, add_classify, add_tag, add_generate, add_score, add_quantize,
                         add_inspect, add_config, add_bench, add_completion})
    add(program);
  program.run = [&] {
    if (!version) throw UsageError(missing_command(program));
    std::puts(version_text().c_str());
    return 0;
  };
  return run_command_line(program, {argv + 1, argv + argc});
}

}  // namespace
}  // namespace mnemo

namespace {

// A line for each thing that is wrong.
int report(std::string_view text, int code) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::fprintf(stderr, "mnemo: %.*s\n", static_cast<int>(end - begin), text.data() + begin);
    begin = end + 1;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // A closed pipe is an error of write(2) like any other: reported, not a silent end.
  std::signal(SIGPIPE, SIG_IGN);
  mnemo::program_name = argv[0];
  try {
    const int code = mnemo::run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) mnemo::fail("standard output: cannot write");
    return code;
  } catch (const mnemo::UsageError& error) {
    return report(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return report("out of memory", 1);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
}
