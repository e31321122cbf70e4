#include "base/thread_pool.h"

#include <atomic>
#include <chrono>
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
