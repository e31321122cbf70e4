// Processes of a run, as threads.
#include "parallel/transport.h"

#include <cstdlib>
#include <functional>
#include <numeric>
#include <thread>

#include "parallel/mpi_transport.h"
#include "parallel/thread_transport.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

// Calls `run` in a thread for each of the connected processes; returns their errors, by rank.
std::vector<std::string> run_all(int ranks, const std::function<void(Transport&)>& run) {
  auto ends = connected_threads(ranks);
  std::vector<std::string> errors(ends.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ends.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        run(*ends[r]);
      } catch (const Error& error) {
        errors[r] = error.what();
      }
      ends[r].reset();
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

const std::vector<std::string> kNoErrors(3);

}  // namespace

TEST_CASE("every process gets the texts of all, in the order of the ranks") {
  const auto errors = run_all(3, [](Transport& transport) {
    const std::string own(static_cast<std::size_t>(transport.rank()), 'x');
    if (all_gather(transport, own) != std::vector<std::string>{"", "x", "xx"}) fail("another order");
    std::int64_t number = transport.rank() == 0 ? 7 : 0;
    broadcast(transport, &number, sizeof number);
    if (number != 7) fail("not what process 0 has");
  });
  CHECK(errors == kNoErrors);
}

TEST_CASE("messages between two processes arrive in their order, and their bytes are counted") {
  std::vector<std::uint64_t> sent(2);
  const auto errors = run_all(2, [&](Transport& transport) {
    const int other = 1 - transport.rank();
    const std::vector<int> own{1, 2, 3};
    std::vector<int> theirs(3);
    const std::vector<Outgoing> out{{other, own.data(), 4}, {other, own.data() + 1, 8}};
    const std::vector<Incoming> in{{other, theirs.data(), 4}, {other, theirs.data() + 1, 8}};
    transport.exchange(out, in);
    if (theirs != own) fail("another order");
    sent[static_cast<std::size_t>(transport.rank())] = transport.bytes_sent();
  });
  CHECK(errors == std::vector<std::string>(2));
  CHECK(sent == std::vector<std::uint64_t>{12, 12});
}

TEST_CASE("processes that have the same facts agree") {
  CHECK(run_all(3, [](Transport& transport) { agree(transport, {{"version", "1"}, {"seed", "2"}}); }) == kNoErrors);
}

TEST_CASE("the first process that differs is named to all, with the fact") {
  const auto errors = run_all(3, [](Transport& transport) {
    agree(transport, {{"version", "1"}, {"seed", transport.rank() == 2 ? "3" : "2"}});
  });
  for (const std::string& error : errors)
    CHECK_THAT(error, contains_text("process 2 has seed 3, process 0 has seed 2; all processes"));
}

TEST_CASE("a process that gives up before the others agree ends them with its message") {
  const auto errors = run_all(3, [](Transport& transport) {
    if (transport.rank() == 1) give_up(transport, "no such file", 1);
    agree(transport, {{"version", "1"}});
  });
  CHECK(errors == std::vector<std::string>(3, "process 1: no such file"));
}

TEST_CASE("an error that all processes have is not ascribed to one") {
  const auto errors = run_all(3, [](Transport& transport) { give_up(transport, "unknown key", 2); });
  CHECK(errors == std::vector<std::string>(3, "unknown key"));
}

TEST_CASE("whoever waits for a lost process is told which") {
  const auto errors = run_all(3, [](Transport& transport) {
    if (transport.rank() == 1) return;
    int number = 0;
    const std::vector<Incoming> in{{1, &number, 4}};
    transport.exchange({}, in);
  });
  CHECK(errors == std::vector<std::string>{"process 1 is lost", "", "process 1 is lost"});
}

TEST_CASE("a launcher is known by the variables that it sets") {
  for (const char* name :
       {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "SLURM_NTASKS"})
    ::unsetenv(name);
  CHECK(launched().ranks == 1);
  // A batch script has it without a launcher.
  ::setenv("SLURM_NTASKS", "8", 1);
  CHECK(launched().ranks == 1);
  ::setenv("PMIX_RANK", "5", 1);
  CHECK(launched().ranks == 8);
  CHECK(launched().rank == 5);
  ::setenv("OMPI_COMM_WORLD_SIZE", "3", 1);
  ::setenv("OMPI_COMM_WORLD_RANK", "2", 1);
  CHECK(launched().ranks == 3);
  CHECK(launched().rank == 2);
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_NTASKS"})
    ::unsetenv(name);
}
