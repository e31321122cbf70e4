// mnemo: train and run LSTM networks on text. Parses the command line, runs a command, prints errors, ends the process.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string_view>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "checkpoint/format.h"
#include "kernels/product.h"
#include "kernels/targets.h"

namespace mnemo {

void add_threads(CLI::App* command, int& threads) {
  threads = available_cores();
  command->add_option("--threads", threads, "Threads; results do not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

CLI::Validator number_from(double low, double high) {
  return {[=](std::string& text) {
            double value = 0;
            const bool good = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
            return good ? std::string() : fmt::format("{} is no number from {} to {}", text, low, high);
          },
          fmt::format("FLOAT in [{} - {}]", low, high)};
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

// Examples come first: they are what most people look for.
class ExamplesFirst : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    if (mode != CLI::AppFormatMode::Normal) return CLI::Formatter::make_help(app, name, mode);
    return app->get_description() + "\n" + app->get_footer() + "\n\n" + make_usage(app, name) + make_positionals(app) +
           make_groups(app, mode) + make_subcommands(app, mode);
  }
};

int run(int argc, char** argv) {
  CLI::App app("Train and run LSTM networks on text, on a CPU, from the shell.", "mnemo");
  app.formatter(std::make_shared<ExamplesFirst>());
  app.require_subcommand(0, 1);
  app.footer(
      "Examples:\n  mnemo train my.json\n  echo 'a fine film' | mnemo classify "
      "run/model.safetensors\n"
      "  mnemo evaluate run/model.safetensors test.tsv --train train.tsv\n\nmnemo COMMAND --help tells more.");
  Command chosen;
  bool version = false;
  app.add_flag("--version", version, "Print version, compiler, instruction set and model format");
  add_train(app, chosen);
  add_evaluate(app, chosen);
  add_classify(app, chosen);
  add_tag(app, chosen);
  add_generate(app, chosen);
  add_score(app, chosen);
  add_quantize(app, chosen);
  add_inspect(app, chosen);
  add_config(app, chosen);
  add_bench(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "mnemo: %s (mnemo --help shows the commands, mnemo COMMAND --help its options)\n",
                 error.what());
    return 2;
  }
  if (version) {
    std::puts(version_text().c_str());
    return 0;
  }
  if (!chosen) {
    std::fputs(
        "mnemo: a command is missing: train, evaluate, classify, tag, generate, score, quantize, inspect, config "
        "or bench (mnemo --help)\n",
        stderr);
    return 2;
  }
  return chosen();
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
