#include "apps/mnemo/together.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "kernels/product.h"
#include "kernels/targets.h"
#include "parallel/mpi_transport.h"

namespace mnemo {
namespace {

// Calls `run`, and makes one error of all processes out of what it throws.
int run_with_others(const std::function<int(Transport*)>& run, Transport& transport) {
  std::string message;
  int code = 1;
  try {
    const int code_of_run = run(&transport);
    agree(transport, {});
    return transport.rank() == 0 ? code_of_run : 0;
  } catch (const SharedError&) {
    throw;
  } catch (const UsageError& error) {
    message = error.what();
    code = 2;
  } catch (const std::bad_alloc&) {
    message = "out of memory";
  } catch (const std::exception& error) {
    message = error.what();
  }
  if (!transport.awaited) give_up(transport, message, code);
  quiet = false;
  say(fmt::format("mnemo: process {}: {}", transport.rank(), message));
  transport.end_all(code);
  return code;
}

}  // namespace

// What has failed before the processes have found one another: the first of those that it concerns says it, as mpirun
// ends the others as soon as one has failed.
int fail_to_join(const Launched& by, const char* message) {
  if (by.rank > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1000 + 100 * std::min(by.rank, 40)));
  say(fmt::format("mnemo: process {}: {}", by.rank, message));
  return 1;
}

// The exit code of process 0 stands for all: mpirun ends the others as soon as one has failed, perhaps before process 0
// has said why.
int run_together(const std::function<int(Transport*)>& run) {
  const Launched by = launched();
  std::unique_ptr<Transport> transport;
  try {
    transport = join_launched(by);
  } catch (const Error& error) {
    return fail_to_join(by, error.what());
  }
  if (!transport) return run(nullptr);
  const bool leads = transport->rank() == 0;
  if (!leads) quiet = true;
  try {
    return run_with_others(run, *transport);
  } catch (const SharedError& error) {
    if (!leads) return 0;
    if (error.code == 2) throw UsageError(error.what());
    throw Error(error.what());
  }
}

void refuse_together(const char* what) {
  if (launched().ranks > 1) throw UsageError(fmt::format("{}: is done by one process; start it without mpirun", what));
}

std::vector<Fact> program_facts() {
  return {{"version", MNEMO_VERSION},
          {"instruction set", kernels::current_target()},
          {"matrix products by", kernels::product_provider()}};
}

}  // namespace mnemo
