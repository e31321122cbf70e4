#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>
#include <utility>

namespace mnemo {
namespace {

// How long a waiting thread spins before it sleeps. Waking a sleeping thread takes about as long as the short serial
// parts between two layers, so the spinning outlasts those; after the first `kPause` each check yields the core to
// whoever else wants it, so spinning costs nothing on a shared machine.
constexpr std::chrono::microseconds kPause{20};
constexpr std::chrono::microseconds kYield{200};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

template <class Condition>
bool wait_awake(const Condition& condition) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      pause();
    }
  } while (Clock::now() - start < kPause);
  do {
    if (condition()) return true;
    std::this_thread::yield();
  } while (Clock::now() - start < kYield);
  return condition();
}

// The bits of the door, from the top: the call's number, whether it is open, and the number of workers inside. A worker
// counts itself in only while the door is open; the caller shuts it and waits until nobody is inside, so that a late
// worker never touches the next call's tasks.
constexpr std::uint64_t kOpen = 1u << 15, kInside = kOpen - 1, kCall = 1u << 16;

std::uint64_t call_of(std::uint64_t door) { return door / kCall; }

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads) {
  workers_.reserve(static_cast<std::size_t>(std::max(1, threads) - 1));
  // No exception may leave this constructor once a thread runs: nobody would stop and join it.
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
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
    const auto called = [&] {
      const std::uint64_t door = door_.load();
      return stop_.load() || ((door & kOpen) != 0 && call_of(door) != seen);
    };
    if (!wait_awake(called)) {
      std::unique_lock lock(mutex_);
      sleeping_.fetch_add(1);
      wake_.wait(lock, called);
      sleeping_.fetch_sub(1);
    }
    if (stop_) return;
    std::uint64_t door = door_.load();
    while ((door & kOpen) != 0 && !door_.compare_exchange_weak(door, door + 1)) {
    }
    if ((door & kOpen) == 0) continue;
    seen = call_of(door);
    run_tasks();
    if ((door_.fetch_sub(1) & (kOpen | kInside)) == 1) {
      std::lock_guard lock(mutex_);
      wake_.notify_all();
    }
  }
}

void ThreadPool::parallel_for(std::int64_t tasks, const std::function<void(std::int64_t)>& task) {
  check();
  if (workers_.empty() || tasks <= 1) {
    for (std::int64_t i = 0; i < tasks; ++i) task(i);
    return;
  }
  tasks_ = tasks;
  task_ = &task;
  next_ = 0;
  {
    std::lock_guard lock(mutex_);
    door_.store((call_of(door_.load()) + 1) * kCall | kOpen);
  }
  if (sleeping_.load() > 0) wake_.notify_all();
  run_tasks();
  door_.fetch_and(~kOpen);
  const auto done = [&] { return (door_.load() & kInside) == 0; };
  if (!wait_awake(done)) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, done);
  }
  if (auto error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
}

}  // namespace mnemo
