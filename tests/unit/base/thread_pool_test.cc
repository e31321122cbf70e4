#include "base/thread_pool.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "tests/catch.h"

using namespace mnemo;

TEST_CASE("every task runs exactly once, for any number of threads") {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (int tasks : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> runs(1000);
      pool.parallel_for(tasks, [&](std::int64_t i) { ++runs[i]; });
      for (int i = 0; i < 1000; ++i) REQUIRE(runs[i] == (i < tasks ? 1 : 0));
    }
  }
}

TEST_CASE("calls in quick succession and after a sleep all complete") {
  ThreadPool pool(2);
  std::atomic<int> sum{0};
  for (int round = 0; round < 20000; ++round) pool.parallel_for(3, [&](std::int64_t) { ++sum; });
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    pool.parallel_for(3, [&](std::int64_t) { ++sum; });
  }
  CHECK(sum == 3 * 20020);
}

TEST_CASE("far more threads than cores and than tasks still complete every call") {
  ThreadPool pool(4 * available_cores() + 3);
  std::atomic<int> sum{0};
  for (int round = 0; round < 5000; ++round)
    pool.parallel_for(2 + round % 3, [&](std::int64_t i) { sum += 1 + int(i); });
  CHECK(sum == (3 * 1667) + (6 * 1667) + (10 * 1666));
}

TEST_CASE("a task's exception reaches the caller and the pool stays usable") {
  ThreadPool pool(3);
  CHECK_THROWS_AS(pool.parallel_for(10,
                                    [](std::int64_t i) {
                                      if (i == 4) throw std::runtime_error("four");
                                    }),
                  std::runtime_error);
  std::atomic<int> runs{0};
  pool.parallel_for(10, [&](std::int64_t) { ++runs; });
  CHECK(runs == 10);
}

namespace {

// Whether a call of the pool runs every task.
bool completes(ThreadPool& pool) {
  std::atomic<int> sum{0};
  pool.parallel_for(100, [&](std::int64_t i) { sum += int(i); });
  return sum == 4950;
}

}  // namespace

TEST_CASE("if no thread can be started the caller runs the tasks alone") {
  pthread_attr_t old{}, huge{};
  REQUIRE(pthread_getattr_default_np(&old) == 0);
  REQUIRE(pthread_attr_init(&huge) == 0);
  REQUIRE(pthread_attr_setstacksize(&huge, std::size_t{1} << 50) == 0);  // more than there are addresses
  REQUIRE(pthread_setattr_default_np(&huge) == 0);
  {
    ThreadPool pool(5);
    CHECK(pool.threads() == 1);
    CHECK(completes(pool));
  }
  REQUIRE(pthread_setattr_default_np(&old) == 0);
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&old);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
TEST_CASE("a pool consists of the threads that could be started, and ends") {
  for (int round = 0; round < 5; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(60);  // a pool that hangs ends the child
      std::size_t pages = 0;
      std::ifstream("/proc/self/statm") >> pages;
      const rlim_t most = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{100} << 20);
      const rlimit limit{most, most};
      if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
      bool good = false;
      {
        ThreadPool pool(1024);
        good = pool.threads() > 1 && pool.threads() < 1024 && completes(pool);
      }
      _exit(good ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}
#endif
