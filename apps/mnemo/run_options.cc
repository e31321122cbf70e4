#include "apps/mnemo/run_options.h"

#include <csignal>

#include "base/error.h"
#include "pipeline/network_options.h"
#include "tasks/task.h"

namespace mnemo {
namespace {

void on_signal(int signal) {
  stop_signal = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

std::atomic<int> stop_signal{0};

void save_on_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

Config configured(const std::string& text, const std::string& path, const std::vector<std::string>& sets,
                  const DataOptions& data, const GivenDefaults& given, Conflicts conflicts) {
  Config config = parse_model_config(text, path, sets, given, conflicts);
  check_format(data.format_in, task_named(config.task).traits());
  if (config.training.precision == "bfloat16")
    if (const std::string reason = kernels::no_bfloat16_products(); !reason.empty())
      throw UsageError("training.precision: bfloat16: " + reason + "; expected float32 here");
  if (!data.format_in.empty()) config.data.format = data.format_in;
  return config;
}

}  // namespace mnemo
