// mnemo: train and run LSTM networks on text. Parses the command line, runs a command, prints errors, ends the process.
// The handlers below make running out of memory an error like any other, wherever it happens.
#include <fcntl.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/memory_reserve.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "checkpoint/format.h"
#include "kernels/product.h"
#include "kernels/targets.h"

namespace mnemo {

CommandOption& add_running(Command& command, int& threads) {
  threads = available_cores();
  command.group("Running");
  command.flag("-q,--quiet", &quiet, "Print only errors on standard error");
  return command.option("-j,--threads", "N", &threads, "Number of threads; results do not depend on it").range(1, 1024);
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
  program.notes = "mnemo help COMMAND describes a command, mnemo config explain the keys of a configuration.";
  bool version = false;
  program.flag("-V,--version", &version, "Print version, compiler, instruction set and model format");
  for (const auto add : kCommands) add(program);
  program.run = [&] {
    if (!version) throw UsageError(missing_command(program));
    put(version_text() + "\n");
    return 0;
  };
  return run_command_line(program, {argv + 1, argv + argc});
}

}  // namespace
}  // namespace mnemo

namespace {

int report(std::string_view text, int code) {
  try {
    std::fprintf(stderr, "mnemo: %s\n", mnemo::escaped(text).c_str());
  } catch (const std::bad_alloc&) {
    std::fputs("mnemo: out of memory\n", stderr);
  }
  return code;
}

// One line per error: a check of a whole configuration or command line may find several.
int report_all(std::string_view text, int code) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    report(text.substr(begin, end - begin), code);
    begin = end + 1;
  }
  return code;
}

// The static tables of libraries are built before main, where nothing could catch std::bad_alloc.
[[gnu::constructor(101)]] void guard_static_tables() {
  std::set_new_handler([] {
    constexpr std::string_view kText = "mnemo: out of memory\n";
    static_cast<void>(!::write(STDERR_FILENO, kText.data(), kText.size()));
    std::_Exit(1);
  });
}

// No opened file may get the descriptor of a closed standard stream. The file opened here in its place fails as a
// closed stream does.
void occupy_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0)
      static_cast<void>(::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

std::terminate_handler end_as_ever = nullptr;

// Called where an exception reaches no handler. Memory that runs out in a destructor is not a bug of the program, and
// is reported like any error.
[[noreturn]] void end_by_exception() {
  try {
    if (std::current_exception()) throw;
  } catch (const std::bad_alloc&) {
    std::_Exit(report("out of memory", 1));
  } catch (...) {
  }
  end_as_ever();
  std::abort();
}

int guarded_run(int argc, char** argv) {
  try {
    const int code = mnemo::run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) mnemo::fail("standard output: cannot write");
    return code;
  } catch (const mnemo::UsageError& error) {
    return report_all(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return report("out of memory", 1);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
}

#if defined(__SANITIZE_ADDRESS__)
#define MNEMO_CHECKS_LEAKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MNEMO_CHECKS_LEAKS
#endif
#endif

}  // namespace

int main(int argc, char** argv) {
  std::set_new_handler(nullptr);
  end_as_ever = std::set_terminate(end_by_exception);
  mnemo::hold_memory_reserve();
  occupy_standard_streams();
  // A closed pipe and a file over the size limit are errors of write(2) like any other: reported, rather than a silent
  // end by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  mnemo::program_name = argv[0];
  const int code = guarded_run(argc, argv);
#if !defined(MNEMO_CHECKS_LEAKS)
  // Static tables are not destroyed: that serves nobody, and may need memory that has run out.
  std::fflush(nullptr);
  std::_Exit(code);
#endif
  return code;
}
