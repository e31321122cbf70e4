// A body of lines, of any length: answered while it is being received, in little memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "serve/api.h"
#include "serve/batcher.h"
#include "serve/spool.h"

namespace mnemo {

/// What a body of lines is asked for.
struct LineJobOptions {
  std::string route, model;
  std::int64_t most_line = 1 << 20;  ///< bytes
  std::size_t most_waiting = 4;      ///< blocks of lines whose answers are awaited at a time
};

/// Takes a body part by part and keeps the answers until all are there, so that one bad line can still be refused. Used
/// by one thread, but for the batcher's answers. To be held by a shared pointer, which the batcher shares.
class LineJob : public std::enable_shared_from_this<LineJob> {
 public:
  LineJob(const LineJobOptions& options, std::shared_ptr<const ServedModels::List> models, Batcher& batcher)
      : options_(options), models_(std::move(models)), batcher_(batcher) {}

  /// Takes the next bytes, or only some of them if enough lines are awaiting their answers; returns how many. Throws
  /// ApiError.
  std::size_t add(std::string_view bytes);
  /// Ends the body. Throws ApiError.
  void finish();

  /// Whether `add` takes nothing, or, after `finish`, answers are missing. If so it calls `pause`, and `resume` once
  /// that may have changed: the second from another thread, but not before the first has returned.
  bool wait(const std::function<void()>& pause, std::function<void()> resume);

  /// Resumes it if it waits for room in the queue alone. To be called a few times a second, by any thread.
  void nudge();

  /// Whether all answers are there, or none will be as there was an error. Else, when `wait` is false, `add` or
  /// `finish` go on.
  bool is_done() const;
  /// When it is done: the answers. Throws ApiError if there is a line that was not answered.
  Spool& answers();
  /// Ends what waits for answers.
  void cancel();
  /// Drops what has not been submitted, which refers to this object. After it nothing else is called but `cancel` and
  /// `held`.
  void forget();

  /// Bytes in memory of lines that are not answered, and of answers.
  std::int64_t held() const;

  std::int64_t lines() const { return lines_; }

 private:
  // Lines of a block: of skills that write a text for each, and of the others, for which it is a full batch.
  static constexpr std::int64_t kFewLines = 16, kManyLines = 256;

  void make_block();
  bool submit();
  // What a block is that has been made.
  struct Block {
    std::int64_t number, first_line;
    std::size_t bytes;
  };
  void deliver(const Block& block, const Skill& skill, BatchOutcome outcome);
  bool is_full() const { return waiting_.size() >= options_.most_waiting; }

  const LineJobOptions options_;
  const std::shared_ptr<const ServedModels::List> models_;
  Batcher& batcher_;
  std::string block_;            // lines that are not submitted yet
  std::size_t line_begins_ = 0;  // the last one's place in it
  std::int64_t block_lines_ = 0, lines_ = 0, blocks_ = 0;
  std::int64_t most_lines_ = kFewLines;  // of a block
  std::optional<Submission> held_;       // a block that the batcher had no room for
  bool finished_ = false;

  mutable std::mutex mutex_;
  std::map<std::int64_t, Batcher::Ticket> waiting_;  // blocks by number; a ticket may be missing for a moment
  std::map<std::int64_t, std::string> answered_;     // those that come after one that is not
  std::int64_t next_ = 0;                            // block to be written
  std::size_t asked_ = 0;                            // bytes of blocks that are not answered
  std::optional<ApiError> error_;
  Spool spool_;
  std::function<void()> resume_;
};

}  // namespace mnemo
