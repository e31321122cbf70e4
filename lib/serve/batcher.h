// Answers many requests at once. Knows no HTTP.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "pipeline/skill.h"
#include "pipeline/text_model.h"
#include "serve/metrics.h"

namespace mnemo {

/// What became of a submission.
struct BatchOutcome {
  enum class End {
    kAnswered,
    kBadRecord,   ///< the model refused a record: Error
    kBadRequest,  ///< what was asked for does not fit the model: UsageError
    kExpired,     ///< it waited too long
    kCancelled,
    kStopped,  ///< the batcher ends
    kFailed,   ///< memory ran out
  };
  End end = End::kAnswered;
  std::vector<Json> answers;  ///< [records]
  std::string message;
  std::size_t record = 0;  ///< which one was refused
};

/// Records for one model.
struct Submission {
  std::shared_ptr<const TextModel> model;
  const Skill* skill = nullptr;      ///< of the model
  std::vector<Json> records;         ///< at least one
  std::vector<std::int64_t> tokens;  ///< [records] the work that each is
  /// Whether the answers are written unit by unit beside others (Skill::streams); else a thread is held until a batch
  /// of them is done.
  bool by_unit = false;
  /// Whether it comes after those that are not, and waits as long as it must.
  bool patient = false;
  /// Called once, by any thread, unless `submit` refused the submission. Must not throw, nor call the batcher.
  std::function<void(BatchOutcome)> done;
  /// With by_unit, for a single record: takes each piece of its text, by any thread, one at a time, until `done` or a
  /// little longer. Returns false to have the text wait until `go_on`. Must not throw, nor call the batcher.
  std::function<bool(const std::string& piece)> piece = {};
};

struct BatcherOptions {
  int threads = 1;
  std::int64_t batch_tokens = 4096, batch_records = 256;  ///< most of one call; a longer record is a call of its own
  std::int64_t queue_tokens = 1'000'000;                  ///< most that may wait
  std::chrono::milliseconds wait{10'000};                 ///< longest wait for a worker
};

/// A queue of submissions and the threads that empty it. A thread that is free takes whatever waits for one model, the
/// oldest first, up to the limits of a batch: under load batches fill up, without load nobody waits for others. A
/// submission larger than a batch is shared among the threads. Texts that are written unit by unit advance together, a
/// step at a time, in turn with the batches.
class Batcher {
 public:
  Batcher(const BatcherOptions& options, Metrics& metrics);
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  struct Item;
  using Ticket = std::shared_ptr<Item>;

  /// Null, without a call of `done` and with the submission as it was, if the queue is full or the batcher has stopped.
  /// An empty queue takes anything.
  Ticket submit(Submission&& submission);
  /// Ends a submission whose answer nobody wants any longer. What is being computed for it alone is given up.
  void cancel(const Ticket& ticket);
  /// Lets a text that waits for its reader go on.
  void go_on(const Ticket& ticket);
  /// Ends those that have waited too long. To be called a few times a second.
  void expire();
  /// Ends all that has not been answered, and returns when the threads have ended.
  void stop();

  bool is_stopping() const;
  std::int64_t queued_tokens() const;
  std::int64_t queued_requests() const;
  /// Texts that are being written unit by unit.
  std::int64_t streams() const;

 private:
  // Records [begin, end) of an item, taken by one thread.
  struct Part {
    Ticket item;
    std::size_t begin, end;
  };
  using Parts = std::vector<Part>;
  // Outcomes to be delivered once the lock is released.
  using Endings = std::vector<std::pair<Ticket, BatchOutcome>>;

  // The texts of one skill of one model that are written unit by unit.
  struct Group;
  // What a thread takes: a batch, or a group's next step; neither: the batcher ends.
  struct Work {
    Parts parts;
    Group* group = nullptr;
  };

  struct BatchSize {
    std::int64_t records = 0, tokens = 0;
  };

  // What a thread is at, and whether nobody waits for it any longer.
  struct Worker {
    Parts parts;
    std::atomic<bool> abandoned{false};
  };

  void work(Worker& worker);
  Work take(Worker& worker);
  Parts take_batch();
  bool is_groups_turn() const;
  void answer_in_turn(const Parts& parts, Workspace& workspace);
  void take_from(const Submission& first, bool patient, BatchSize& size, Parts& to);
  void sweep();
  Group* steppable() const;
  Group& group_of(const Submission& submission);
  void step(Group& group, Workspace& workspace);
  void admit(Group& group, Workspace& workspace);
  void advance(Group& group, Workspace& workspace);
  void pass_on(const Ticket& item, const std::string& piece);
  void release(Group& group);
  void answer(const Parts& parts, Workspace& workspace);
  bool try_answer(const Parts& parts, Workspace& workspace);
  void keep(const Parts& parts, std::vector<Json> answers);
  bool keep(Item& item, std::size_t record, Json answer);
  void end_part(const Part& part, BatchOutcome::End how, const std::string& message);
  bool end(const Ticket& item, BatchOutcome::End how, const std::string& message, Endings& endings,
           std::size_t record = 0);
  static void deliver(Endings& endings);

  const BatcherOptions options_;
  Metrics& metrics_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Ticket> queue_;  // those with records that no thread has taken, but for what waits in a group
  std::vector<std::unique_ptr<Group>> groups_;
  bool groups_turn_ = false;  // whether a group comes before the queue
  // Before which patient batches leave the threads to groups: they get as much time as the last one took.
  std::chrono::steady_clock::time_point patient_again_{};
  std::int64_t queued_tokens_ = 0;
  bool stopping_ = false;
  std::deque<Worker> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace mnemo
