#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace mnemo {
namespace {

// How long a thread pauses in a loop before it sleeps: longer than the gap between two layers, short enough that a
// machine shared with others does not notice.
constexpr std::chrono::microseconds kPause{40};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

template <class Condition>
bool pause_until(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPause;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return condition();
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run_tasks() {
  for (;;) {
    const std::int64_t i = next_.fetch_add(1);
    if (i >= tasks_) return;
    try {
      (*task_)(i);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }
}

void ThreadPool::work() {
  std::uint64_t seen = 0;
  for (;;) {
    const auto called = [&] { return generation_.load() != seen; };
    if (!pause_until(called)) {
      std::unique_lock lock(mutex_);
      sleeping_.fetch_add(1);
      wake_.wait(lock, called);
      sleeping_.fetch_sub(1);
    }
    seen = generation_.load();
    if (stop_) return;
    run_tasks();
    if (busy_.fetch_sub(1) == 1) {
      std::lock_guard lock(mutex_);
      wake_.notify_all();
    }
  }
}

void ThreadPool::parallel_for(std::int64_t tasks, const std::function<void(std::int64_t)>& task) {
  if (workers_.empty() || tasks <= 1) {
    for (std::int64_t i = 0; i < tasks; ++i) task(i);
    return;
  }
  tasks_ = tasks;
  task_ = &task;
  next_ = 0;
  busy_ = static_cast<int>(workers_.size());
  {
    std::lock_guard lock(mutex_);
    generation_.fetch_add(1);
  }
  if (sleeping_.load() > 0) wake_.notify_all();
  run_tasks();
  const auto done = [&] { return busy_.load() == 0; };
  if (!pause_until(done)) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, done);
  }
  if (auto error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
}

}  // namespace mnemo
