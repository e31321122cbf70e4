#include "serve/line_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>
#include <vector>

namespace mnemo {
namespace {

constexpr std::size_t kBlockBytes = 65536;

}  // namespace

std::size_t LineJob::add(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    {
      const std::lock_guard lock(mutex_);
      if (error_) throw ApiError(*error_);
      if (is_full()) break;
    }
    if (!submit()) break;
    const std::string_view rest = bytes.substr(taken);
    const std::size_t newline = rest.find('\n');
    const std::string_view part = rest.substr(0, newline == std::string_view::npos ? rest.size() : newline + 1);
    const std::size_t length = block_.size() - line_begins_ + part.size() - (newline == std::string_view::npos ? 0 : 1);
    if (static_cast<std::int64_t>(length) > options_.most_line)
      throw ApiError(413, "body_too_large", fmt::format("expected a line of at most {} bytes", options_.most_line),
                     fmt::format("line {}", lines_ + block_lines_ + 1));
    block_ += part;
    taken += part.size();
    if (newline == std::string_view::npos) break;
    ++block_lines_;
    line_begins_ = block_.size();
    if (block_lines_ == most_lines_ || block_.size() >= kBlockBytes) make_block();
  }
  return taken;
}

void LineJob::finish() {
  if (!submit()) return;
  if (std::exchange(finished_, true)) return;
  if (block_.size() > line_begins_) ++block_lines_;  // the last line may lack its end
  if (block_lines_ > 0 || blocks_ == 0) make_block();
  submit();
}

void LineJob::make_block() {
  constexpr ApiLimits kLimits{.texts = kManyLines, .tokens = std::numeric_limits<std::int64_t>::max() / 2};
  ApiRequest request = read_lines_request(block_, options_.route, options_.model, *models_, kLimits, lines_ + 1);
  const Block made{.number = blocks_++, .first_line = lines_ + 1, .bytes = block_.size()};
  lines_ += std::ssize(request.submission.records);
  if (block_.capacity() > 2 * kBlockBytes) block_ = std::string();  // after a long line
  block_.clear();
  line_begins_ = 0;
  block_lines_ = 0;
  if (request.submission.records.empty()) return;
  const Skill& skill = *request.submission.skill;
  most_lines_ = skill.streams ? kFewLines : kManyLines;
  request.submission.patient = made.number > 0;
  request.submission.done = [self = shared_from_this(), made, &skill, model = request.submission.model](
                                BatchOutcome outcome) { self->deliver(made, skill, std::move(outcome)); };
  held_ = std::move(request.submission);
  const std::lock_guard lock(mutex_);
  asked_ += made.bytes;
}

// False if a block has to wait for room in the queue. Only the first one is refused: a long body, once begun, is
// answered to its end.
bool LineJob::submit() {
  if (!held_) return true;
  const std::int64_t number = blocks_ - 1;
  {
    const std::lock_guard lock(mutex_);
    waiting_[number] = nullptr;
  }
  // The answer may come before `submit` returns.
  Batcher::Ticket ticket = batcher_.submit(std::move(*held_));
  const std::lock_guard lock(mutex_);
  if (const auto found = waiting_.find(number); ticket && found != waiting_.end()) found->second = ticket;
  if (ticket) {
    held_.reset();
    return true;
  }
  waiting_.erase(number);
  if (number == 0 || batcher_.is_stopping()) throw overloaded();
  return false;
}

// On the thread that answered.
void LineJob::deliver(const Block& block, const Skill& skill, BatchOutcome outcome) {
  std::function<void()> resume;
  std::string text;
  std::optional<ApiError> error;
  try {
    if (outcome.end == BatchOutcome::End::kAnswered)
      text = answer_body(BodyForm::kLines, skill, std::move(outcome.answers), block.first_line);
    else
      error = api_error(outcome, BodyForm::kLines, block.first_line);
  } catch (const std::exception& thrown) {
    error.emplace(503, "failed", thrown.what());
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_.erase(block.number);
    asked_ -= block.bytes;
    try {
      if (error && !error_) error_ = error;
      if (!error_) answered_[block.number] = std::move(text);
      for (auto at = answered_.begin(); at != answered_.end() && at->first == next_ && !error_;
           at = answered_.erase(at), ++next_)
        spool_.append(at->second);
    } catch (const std::exception& thrown) {
      error_.emplace(503, "failed", thrown.what());
    }
    resume = std::exchange(resume_, nullptr);
  }
  if (resume) resume();
}

bool LineJob::wait(const std::function<void()>& pause, std::function<void()> resume) {
  const std::lock_guard lock(mutex_);
  if (error_ || !(held_ || (!waiting_.empty() && (finished_ || is_full())))) return false;
  pause();
  resume_ = std::move(resume);
  return true;
}

void LineJob::nudge() {
  std::function<void()> resume;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) resume = std::exchange(resume_, nullptr);
  }
  if (resume) resume();
}

bool LineJob::is_done() const {
  const std::lock_guard lock(mutex_);
  return error_ || (finished_ && !held_ && waiting_.empty());
}

Spool& LineJob::answers() {
  const std::lock_guard lock(mutex_);
  if (error_) throw ApiError(*error_);
  return spool_;
}

void LineJob::forget() {
  held_.reset();
  block_ = std::string();
}

std::int64_t LineJob::held() const {
  const std::lock_guard lock(mutex_);
  std::size_t out = block_.size() + asked_ + spool_.in_memory();
  for (const auto& [number, text] : answered_) out += text.size();
  return static_cast<std::int64_t>(out);
}

void LineJob::cancel() {
  std::vector<Batcher::Ticket> tickets;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, ticket] : waiting_)
      if (ticket) tickets.push_back(ticket);
  }
  for (const Batcher::Ticket& ticket : tickets) batcher_.cancel(ticket);
}

}  // namespace mnemo
