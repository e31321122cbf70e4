// An item is in the queue as long as some of its records are untaken, and ends once: when its last record is answered,
// at its first error, or by expiry, cancellation or the batcher's end. What a thread computes for an item that has
// ended is dropped. Outcomes are delivered without the lock, so that a receiver may take its time.
#include "serve/batcher.h"

#include <algorithm>
#include <exception>
#include <new>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"

namespace mnemo {

using BatchClock = std::chrono::steady_clock;

struct Batcher::Item {
  Submission submission;
  BatchClock::time_point arrived = BatchClock::now();
  std::size_t taken = 0, answered = 0;
  bool ended = false;
  std::vector<Json> answers;

  std::size_t size() const { return submission.records.size(); }
  std::int64_t tokens_left() const {
    return std::accumulate(submission.tokens.begin() + static_cast<std::ptrdiff_t>(taken), submission.tokens.end(),
                           std::int64_t{0});
  }
};

Batcher::Batcher(const BatcherOptions& options, Metrics& metrics) : options_(options), metrics_(metrics) {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
}

Batcher::Ticket Batcher::submit(Submission submission) {
  auto item = std::make_shared<Item>();
  item->submission = std::move(submission);
  item->answers.resize(item->size());
  const std::int64_t tokens = item->tokens_left();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || (!queue_.empty() && queued_tokens_ + tokens > options_.queue_tokens)) {
      metrics_.rejected("full");
      return nullptr;
    }
    queue_.push_back(item);
    queued_tokens_ += tokens;
  }
  wake_.notify_one();
  return item;
}

void Batcher::cancel(const Ticket& ticket) {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    if (end(ticket, BatchOutcome::End::kCancelled, "the client went away", endings)) metrics_.rejected("cancelled");
  }
  deliver(endings);
}

void Batcher::expire() {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    const auto latest = BatchClock::now() - options_.wait;
    const std::deque<Ticket> waiting = queue_;
    for (const Ticket& item : waiting)
      if (item->taken == 0 && item->arrived < latest &&
          end(item, BatchOutcome::End::kExpired, "no worker was free in time", endings))
        metrics_.rejected("expired");
  }
  deliver(endings);
}

void Batcher::stop() {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    const std::deque<Ticket> waiting = queue_;
    for (const Ticket& item : waiting) end(item, BatchOutcome::End::kStopped, "the server is shutting down", endings);
  }
  deliver(endings);
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::int64_t Batcher::queued_tokens() const {
  const std::lock_guard lock(mutex_);
  return queued_tokens_;
}

std::int64_t Batcher::queued_requests() const {
  const std::lock_guard lock(mutex_);
  return std::ssize(queue_);
}

void Batcher::work() {
  ThreadPool pool(1);
  Workspace workspace(pool);
  for (Parts parts; !(parts = take()).empty();) answer(parts, workspace);
}

// Waits for records and takes a batch of them; none: the batcher ends.
Batcher::Parts Batcher::take() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  Parts out;
  if (queue_.empty()) return out;
  const auto now = BatchClock::now();
  const Submission& first = queue_.front()->submission;
  // Texts that are generated one after the other gain nothing from a batch.
  std::int64_t tokens = 0, records = 0;
  const std::int64_t most = first.skill->length > 0 ? 1 : options_.batch_records;
  for (const Ticket& item : queue_) {
    const Submission& s = item->submission;
    if (s.model != first.model || s.skill != first.skill) continue;
    const std::size_t begin = item->taken;
    while (item->taken < item->size() && records < most) {
      const std::int64_t own = s.tokens[item->taken];
      if (records > 0 && tokens + own > options_.batch_tokens) break;
      tokens += own;
      ++records, ++item->taken;
    }
    if (item->taken == begin) break;
    if (begin == 0) metrics_.waited(std::chrono::duration<double>(now - item->arrived).count());
    out.push_back({item, begin, item->taken});
  }
  queued_tokens_ -= tokens;
  std::erase_if(queue_, [](const Ticket& item) { return item->taken == item->size(); });
  if (!queue_.empty()) wake_.notify_one();
  metrics_.batch(records, tokens);
  return out;
}

// A record that the model refuses must fail its own submission alone: after an error each part is answered by itself.
void Batcher::answer(const Parts& parts, Workspace& workspace) {
  using End = BatchOutcome::End;
  const Submission& first = parts.front().item->submission;
  std::optional<End> how;
  std::string message;
  try {
    std::vector<Json> records;
    for (const Part& part : parts)
      for (std::size_t i = part.begin; i < part.end; ++i) records.push_back(part.item->submission.records[i]);
    keep(parts, first.skill->answer(*first.model, records, workspace));
  } catch (const UsageError& error) {
    how = End::kBadRequest;
    message = error.what();
  } catch (const Error& error) {
    how = End::kBadRecord;
    message = error.what();
  } catch (const std::exception& error) {
    how = End::kFailed;
    message = error.what();
  }
  if (!how) return;
  if (parts.size() == 1) return end_part(parts.front(), *how, message);
  for (const Part& part : parts) answer({part}, workspace);
}

void Batcher::keep(const Parts& parts, std::vector<Json> answers) {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    std::size_t from = 0;
    for (const Part& part : parts) {
      Item& item = *part.item;
      for (std::size_t i = part.begin; i < part.end; ++i, ++from)
        if (!item.ended) item.answers[i] = std::move(answers[from]);
      item.answered += part.end - part.begin;
      if (item.ended || item.answered < item.size()) continue;
      item.ended = true;
      endings.emplace_back(part.item, BatchOutcome{.answers = std::move(item.answers), .message = {}});
    }
  }
  deliver(endings);
}

void Batcher::end_part(const Part& part, BatchOutcome::End how, const std::string& message) {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    end(part.item, how, message, endings);
  }
  deliver(endings);
}

// Under the lock. False if it has ended already.
bool Batcher::end(const Ticket& item, BatchOutcome::End how, const std::string& message, Endings& endings) {
  if (item->ended) return false;
  item->ended = true;
  if (item->taken < item->size()) {
    queued_tokens_ -= item->tokens_left();
    std::erase(queue_, item);
  }
  endings.emplace_back(item, BatchOutcome{.end = how, .answers = {}, .message = message});
  return true;
}

void Batcher::deliver(Endings& endings) {
  for (auto& [item, outcome] : endings) item->submission.done(std::move(outcome));
}

}  // namespace mnemo
