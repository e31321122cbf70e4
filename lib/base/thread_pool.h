// A persistent pool of threads, and parallel_for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mnemo {

/// What a computation that nobody waits for any longer ends with.
class Abandoned : public std::exception {
 public:
  const char* what() const noexcept override { return "the computation was given up"; }
};

/// Cores that this process may run on (its affinity mask), at least 1.
int available_cores();

/// Runs tasks 0..n-1 of a call on the calling thread and `threads - 1` others. Tasks are handed out one at a time in
/// order, so it is undefined which thread runs which task: a task's result must depend on its index alone. The caller
/// waits for tasks, never for threads: a worker that gets no core while others run the tasks delays nobody.
/// If the system cannot start as many threads (a limit on processes or memory), the pool makes do with those it got.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Threads that run tasks, including the caller: at most as many as were asked for.
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls `task(i)` for every i in [0, tasks) and returns when all are done. The first exception of a task is rethrown
  /// here, once the others have finished. Calls must not be nested, and come from one thread at a time.
  void parallel_for(std::int64_t tasks, const std::function<void(std::int64_t)>& task);

  /// From now on parallel_for and check throw Abandoned while the flag is set; null: they never do.
  void abandon_when(const std::atomic<bool>* flag) { abandoned_ = flag; }
  /// For loops that take long without parallel_for. Threads may share it.
  void check() const {
    if (abandoned_ && abandoned_->load(std::memory_order_relaxed)) throw Abandoned();
  }

 private:
  void work();
  void run_tasks();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> door_{0};  // the call's number, whether workers may enter it, and how many are inside
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};

  // The current call. Written by the caller while the door is shut and nobody is inside.
  std::atomic<std::int64_t> next_{0};
  std::int64_t tasks_ = 0;
  const std::function<void(std::int64_t)>* task_ = nullptr;
  std::exception_ptr error_;
  const std::atomic<bool>* abandoned_ = nullptr;
};

}  // namespace mnemo
