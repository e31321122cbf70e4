// An item is in the queue, or in its group's, as long as some of its records are untaken, and ends once: when its last
// record is answered, at its first error, or by expiry, cancellation or the batcher's end. What a thread computes for
// an item that has ended is dropped. Outcomes are delivered without the lock, so that a receiver may take its time.
//
// A group is held by one thread at a time, which takes in texts that wait, advances all by a step, and gives it back.
#include "serve/batcher.h"

#include <algorithm>
#include <exception>
#include <new>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "pipeline/text_streams.h"

namespace mnemo {

using BatchClock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kMostStreams = 64;  // of a group side by side: more gain little, and each has scores of all units
// So many of these places are kept for texts of at most so many units, which need not wait for long ones to end.
constexpr std::size_t kShortPlaces = 16;
constexpr std::int64_t kShort = 512;

// How a call to a model failed.
std::optional<std::pair<BatchOutcome::End, std::string>> error_of(const std::function<void()>& call) {
  using End = BatchOutcome::End;
  try {
    call();
  } catch (const UsageError& error) {
    return std::pair(End::kBadRequest, error.what());
  } catch (const Error& error) {
    return std::pair(End::kBadRecord, error.what());
  } catch (const std::exception& error) {
    return std::pair(End::kFailed, error.what());
  }
  return std::nullopt;
}

}  // namespace

struct Batcher::Item {
  Submission submission;
  BatchClock::time_point arrived = BatchClock::now();
  std::size_t taken = 0, answered = 0;
  bool ended = false;
  bool paused = false;  // its reader is slow
  std::deque<Ticket>* queue = nullptr;
  std::vector<Json> answers;

  std::size_t size() const { return submission.records.size(); }
  std::int64_t tokens_left() const {
    return std::accumulate(submission.tokens.begin() + static_cast<std::ptrdiff_t>(taken), submission.tokens.end(),
                           std::int64_t{0});
  }
};

struct Batcher::Group {
  struct Member {
    std::int64_t key;
    Ticket item;
    std::size_t record;
  };

  std::shared_ptr<const TextModel> model;
  const Skill* skill;
  std::unique_ptr<TextStreams> streams;
  std::deque<Ticket> waiting = {};
  std::vector<Member> members = {};
  std::int64_t next_key = 0;
  bool held = false;

  static bool is_long(const Ticket& item, std::size_t record) { return item->submission.tokens[record] > kShort; }

  // The first that waits for which there is room. Those whose readers are behind take part in no step, but memory.
  std::deque<Ticket>::const_iterator admissible() const {
    std::size_t going = 0, long_ones = 0;
    for (const Member& m : members) {
      if (m.item->paused) continue;
      ++going;
      if (is_long(m.item, m.record)) ++long_ones;
    }
    if (going >= kMostStreams || members.size() >= 4 * kMostStreams) return waiting.end();
    if (long_ones < kMostStreams - kShortPlaces) return waiting.begin();
    return std::ranges::find_if(waiting, [](const Ticket& item) { return !is_long(item, item->taken); });
  }
  bool can_step() const {
    if (held) return false;
    return admissible() != waiting.end() ||
           std::ranges::any_of(members, [](const Member& m) { return m.item->ended || !m.item->paused; });
  }
};

Batcher::Batcher(const BatcherOptions& options, Metrics& metrics) : options_(options), metrics_(metrics) {
  for (int i = 0; i < options_.threads; ++i)
    threads_.emplace_back([this, &worker = workers_.emplace_back()] { work(worker); });
}

Batcher::~Batcher() { stop(); }

Batcher::Ticket Batcher::submit(Submission&& submission) {
  auto item = std::make_shared<Item>();
  item->submission = std::move(submission);
  item->answers.resize(item->size());
  const std::int64_t tokens = item->tokens_left();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || (queued_tokens_ > 0 && queued_tokens_ + tokens > options_.queue_tokens)) {
      // A patient one comes again.
      if (stopping_ || !item->submission.patient) metrics_.rejected(stopping_ ? "stopping" : "full");
      submission = std::move(item->submission);
      return nullptr;
    }
    item->queue = item->submission.by_unit ? &group_of(item->submission).waiting : &queue_;
    item->queue->push_back(item);
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
    sweep();
  }
  deliver(endings);
  wake_.notify_one();
}

void Batcher::expire() {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    const auto latest = BatchClock::now() - options_.wait;
    std::vector<Ticket> waiting(queue_.begin(), queue_.end());
    for (const auto& group : groups_) waiting.insert(waiting.end(), group->waiting.begin(), group->waiting.end());
    for (const Ticket& item : waiting)
      if (item->taken == 0 && item->arrived < latest && !item->submission.patient &&
          end(item, BatchOutcome::End::kExpired, "no worker was free in time", endings))
        metrics_.rejected("expired");
    sweep();
  }
  deliver(endings);
}

void Batcher::stop() {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    std::vector<Ticket> all(queue_.begin(), queue_.end());
    for (const auto& group : groups_) {
      all.insert(all.end(), group->waiting.begin(), group->waiting.end());
      for (const Group::Member& member : group->members) all.push_back(member.item);
    }
    for (const Worker& worker : workers_)
      for (const Part& part : worker.parts) all.push_back(part.item);
    for (const Ticket& item : all) end(item, BatchOutcome::End::kStopped, "the server is shutting down", endings);
  }
  deliver(endings);
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  groups_.clear();
}

void Batcher::go_on(const Ticket& ticket) {
  {
    const std::lock_guard lock(mutex_);
    ticket->paused = false;
  }
  wake_.notify_one();
}

bool Batcher::is_stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

std::int64_t Batcher::queued_tokens() const {
  const std::lock_guard lock(mutex_);
  return queued_tokens_;
}

std::int64_t Batcher::queued_requests() const {
  const std::lock_guard lock(mutex_);
  std::int64_t out = std::ssize(queue_);
  for (const auto& group : groups_) out += std::ssize(group->waiting);
  return out;
}

std::int64_t Batcher::streams() const {
  const std::lock_guard lock(mutex_);
  std::int64_t out = 0;
  for (const auto& group : groups_) out += std::ssize(group->members);
  return out;
}

void Batcher::work(Worker& worker) {
  ThreadPool pool(1);
  pool.abandon_when(&worker.abandoned);
  Workspace workspace(pool);
  while (true) {
    const Work work = take(worker);
    if (work.group)
      step(*work.group, workspace);
    else if (!work.parts.empty())
      answer_in_turn(work.parts, workspace);
    else
      return;
  }
}

// Waits for work.
Batcher::Work Batcher::take(Worker& worker) {
  std::unique_lock lock(mutex_);
  worker.parts.clear();
  worker.abandoned = false;
  Group* group = nullptr;
  wake_.wait(lock, [&] { return stopping_ || (group = steppable()) || !queue_.empty(); });
  if (stopping_) return {};
  Work out;
  if (group && is_groups_turn()) {
    group->held = true;
    out.group = group;
  } else {
    out.parts = worker.parts = take_batch();
  }
  groups_turn_ = !out.group;
  if (!queue_.empty() || steppable()) wake_.notify_one();
  return out;
}

bool Batcher::is_groups_turn() const {
  const bool patient = std::ranges::all_of(queue_, [](const Ticket& item) { return item->submission.patient; });
  return patient ? queue_.empty() || BatchClock::now() < patient_again_ : groups_turn_;
}

void Batcher::answer_in_turn(const Parts& parts, Workspace& workspace) {
  const bool patient = parts.front().item->submission.patient;
  const auto begin = BatchClock::now();
  answer(parts, workspace);
  const auto end = BatchClock::now();
  if (!patient) return;
  const std::lock_guard lock(mutex_);
  patient_again_ = end + (end - begin);
}

Batcher::Group* Batcher::steppable() const {
  const auto found = std::ranges::find_if(groups_, [](const auto& group) { return group->can_step(); });
  return found == groups_.end() ? nullptr : found->get();
}

Batcher::Group& Batcher::group_of(const Submission& s) {
  for (const auto& group : groups_)
    if (group->model == s.model && group->skill == s.skill) return *group;
  groups_.push_back(
      std::make_unique<Group>(Group{.model = s.model, .skill = s.skill, .streams = s.skill->streams(*s.model)}));
  return *groups_.back();
}

// Under the lock; the queue is not empty. Patient submissions come second, unless one has waited for long.
Batcher::Parts Batcher::take_batch() {
  const auto is_patient = [](const Ticket& item) { return item->submission.patient; };
  const auto of = [&](bool patient) {
    return std::ranges::find_if(queue_, [&](const Ticket& item) { return is_patient(item) == patient; });
  };
  const auto patient = of(true), other = of(false);
  const bool overdue = patient != queue_.end() && (*patient)->arrived < BatchClock::now() - options_.wait / 2;
  const bool first = other == queue_.end() || overdue;
  const Ticket chosen = first ? *patient : *other;  // kept, whatever becomes of the queue
  Parts out;
  BatchSize size;
  for (const bool kind : {first, !first}) take_from(chosen->submission, kind, size, out);
  queued_tokens_ -= size.tokens;
  std::erase_if(queue_, [](const Ticket& item) { return item->taken == item->size(); });
  metrics_.batch(size.records, size.tokens);
  return out;
}

void Batcher::take_from(const Submission& first, bool patient, BatchSize& size, Parts& to) {
  const auto now = BatchClock::now();
  // Texts that are generated one after the other gain nothing from a batch.
  const std::int64_t most = first.skill->length > 0 ? 1 : options_.batch_records;
  for (const Ticket& item : queue_) {
    const Submission& s = item->submission;
    if (s.patient != patient || s.model != first.model || s.skill != first.skill) continue;
    const std::size_t begin = item->taken;
    while (item->taken < item->size() && size.records < most) {
      const std::int64_t own = s.tokens[item->taken];
      if (size.records > 0 && size.tokens + own > options_.batch_tokens) break;
      size.tokens += own;
      ++size.records, ++item->taken;
    }
    if (item->taken == begin) break;
    if (begin == 0) metrics_.waited(std::chrono::duration<double>(now - item->arrived).count());
    to.push_back({item, begin, item->taken});
  }
}

// Under the lock. Forgets groups without texts, which would hold their models.
void Batcher::sweep() {
  std::erase_if(groups_, [](const auto& one) { return !one->held && one->members.empty() && one->waiting.empty(); });
}

void Batcher::step(Group& group, Workspace& workspace) {
  admit(group, workspace);
  advance(group, workspace);
  release(group);
}

// Begins texts that wait, as many as there is room for.
void Batcher::admit(Group& group, Workspace& workspace) {
  while (true) {
    Group::Member next;
    {
      const std::lock_guard lock(mutex_);
      const auto found = group.admissible();
      if (stopping_ || found == group.waiting.end()) return;
      Ticket item = *found;  // kept, as the queue forgets it
      const std::size_t record = item->taken++;
      queued_tokens_ -= item->submission.tokens[record];
      metrics_.begun(item->submission.tokens[record]);
      if (record == 0) metrics_.waited(std::chrono::duration<double>(BatchClock::now() - item->arrived).count());
      if (item->taken == item->size()) group.waiting.erase(found);
      next = {group.next_key++, std::move(item), record};
      group.members.push_back(next);
    }
    // The submission's own content does not change any more.
    if (const auto error =
            error_of([&] { group.streams->begin(next.key, next.item->submission.records[next.record], workspace); })) {
      end_part({next.item, next.record, next.record + 1}, error->first, error->second);
      const std::lock_guard lock(mutex_);
      std::erase_if(group.members, [&](const Group::Member& m) { return m.key == next.key; });
    }
  }
}

// Forgets texts that nobody wants any longer, and continues the others.
void Batcher::advance(Group& group, Workspace& workspace) {
  std::vector<std::int64_t> keys, gone;
  std::unordered_map<std::int64_t, Group::Member> members;
  {
    const std::lock_guard lock(mutex_);
    for (const Group::Member& m : group.members) {
      if (!m.item->ended && m.item->paused) continue;
      (m.item->ended ? gone : keys).push_back(m.key);
      members[m.key] = m;
    }
  }
  std::vector<StreamEvent> events;
  if (const auto error = error_of([&] { events = group.streams->advance(keys, workspace); }))
    for (const std::int64_t key : keys) {
      end_part({members[key].item, members[key].record, members[key].record + 1}, error->first, error->second);
      gone.push_back(key);
    }
  Endings endings;
  for (StreamEvent& event : events) {
    const Group::Member& m = members[event.key];
    pass_on(m.item, event.piece);
    const std::lock_guard lock(mutex_);
    if (event.error) end(m.item, BatchOutcome::End::kBadRecord, *event.error, endings, m.record);
    if (event.answer && keep(*m.item, m.record, std::move(*event.answer)))
      endings.emplace_back(m.item, BatchOutcome{.answers = std::move(m.item->answers), .message = {}});
    if (event.error || event.answer) gone.push_back(event.key);
  }
  for (const std::int64_t key : gone) group.streams->end(key);
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(group.members, [&](const Group::Member& m) { return std::ranges::find(gone, m.key) != gone.end(); });
  }
  deliver(endings);
}

// A reader that is behind may catch up, and call `go_on`, at any moment: so the text waits first.
void Batcher::pass_on(const Ticket& item, const std::string& piece) {
  if (!item->submission.piece || piece.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    item->paused = true;
  }
  if (!item->submission.piece(piece)) return;
  const std::lock_guard lock(mutex_);
  item->paused = false;
}

void Batcher::release(Group& group) {
  {
    const std::lock_guard lock(mutex_);
    group.held = false;
    // The others come first now.
    const auto found = std::ranges::find_if(groups_, [&](const auto& one) { return one.get() == &group; });
    std::rotate(found, found + 1, groups_.end());
    sweep();
  }
  wake_.notify_one();
}

// A record that the model refuses must fail its own submission alone, and be named: after an error each is answered by
// itself.
void Batcher::answer(const Parts& parts, Workspace& workspace) {
  if (try_answer(parts, workspace)) return;
  for (const Part& part : parts)
    for (std::size_t i = part.begin; i < part.end; ++i)
      if (!try_answer({{part.item, i, i + 1}}, workspace)) break;
}

// False, having ended its item if it is a single record, where the model has refused.
bool Batcher::try_answer(const Parts& parts, Workspace& workspace) {
  const Submission& first = parts.front().item->submission;
  const auto error = error_of([&] {
    std::vector<Json> records;
    for (const Part& part : parts)
      for (std::size_t i = part.begin; i < part.end; ++i) records.push_back(part.item->submission.records[i]);
    keep(parts, first.skill->answer(*first.model, records, workspace));
  });
  if (!error) return true;
  const Part& part = parts.front();
  if (parts.size() == 1 && part.end == part.begin + 1) end_part(part, error->first, error->second);
  return false;
}

// Under the lock. Whether it was the last one that the item waited for.
bool Batcher::keep(Item& item, std::size_t record, Json answer) {
  if (!item.ended) {
    item.answers[record] = std::move(answer);
    metrics_.answered();
  }
  ++item.answered;
  if (item.ended || item.answered < item.size()) return false;
  return item.ended = true;
}

void Batcher::keep(const Parts& parts, std::vector<Json> answers) {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    std::size_t from = 0;
    for (const Part& part : parts)
      for (std::size_t i = part.begin; i < part.end; ++i)
        if (keep(*part.item, i, std::move(answers[from++])))
          endings.emplace_back(part.item, BatchOutcome{.answers = std::move(part.item->answers), .message = {}});
  }
  deliver(endings);
}

void Batcher::end_part(const Part& part, BatchOutcome::End how, const std::string& message) {
  Endings endings;
  {
    const std::lock_guard lock(mutex_);
    end(part.item, how, message, endings, part.begin);
  }
  deliver(endings);
}

// Under the lock. False if it has ended already.
bool Batcher::end(const Ticket& item, BatchOutcome::End how, const std::string& message, Endings& endings,
                  std::size_t record) {
  if (item->ended) return false;
  item->ended = true;
  if (item->taken < item->size()) {
    queued_tokens_ -= item->tokens_left();
    std::erase(*item->queue, item);
  }
  for (Worker& worker : workers_)
    if (std::ranges::all_of(worker.parts, [](const Part& part) { return part.item->ended; }))
      worker.abandoned = !worker.parts.empty();
  endings.emplace_back(item, BatchOutcome{.end = how, .answers = {}, .message = message, .record = record});
  return true;
}

void Batcher::deliver(Endings& endings) {
  for (auto& [item, outcome] : endings) item->submission.done(std::move(outcome));
}

}  // namespace mnemo
