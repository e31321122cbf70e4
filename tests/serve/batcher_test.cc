#include "serve/batcher.h"

#include <atomic>
#include <future>
#include <latch>
#include <map>
#include <mutex>

#include "base/error.h"
#include "pipeline/text_streams.h"
#include "tests/catch.h"
#include "tests/serve/served.h"

using namespace mnemo;

namespace {

// What a skill that does as its records say has seen, and the gate at which "wait" stops.
struct Seen {
  std::mutex mutex;
  std::vector<std::size_t> batches;
  std::promise<void> waiting;
  std::shared_future<void> gate;
  std::atomic<int> endless = 0;
};
Seen* seen = nullptr;

std::vector<Json> obey(const TextModel&, const std::vector<Json>& records, Workspace& workspace) {
  {
    const std::lock_guard lock(seen->mutex);
    seen->batches.push_back(records.size());
  }
  for (const Json& record : records) {
    const auto what = record.get<std::string>();
    const std::string text = record.get<std::string>();
    if (text == "bad") fail("record 1: bad");
    if (text == "usage") throw UsageError("key: bad");
    if (text == "memory") throw std::bad_alloc();
    if (text == "wait") {
      seen->waiting.set_value();
      seen->gate.wait();
    }
    if (what == "endless") {
      ++seen->endless;
      while (true) {
        workspace.pool.check();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }
  return records;
}

const Skill kObey{.name = "obey", .answer = obey};
using End = BatchOutcome::End;

// A batcher of one thread that is kept busy until it is told to go on.
class Busy {
 public:
  explicit Busy(BatcherOptions options = {}) {
    seen = &seen_;
    seen_.gate = open_.get_future().share();
    batcher.emplace(options, metrics);
    first = send({"wait"});
    seen_.waiting.get_future().wait();
  }
  ~Busy() {
    go_on();
    batcher.reset();
  }

  std::future<BatchOutcome> send(const std::vector<std::string>& texts, Batcher::Ticket* ticket = nullptr) {
    auto promise = std::make_shared<std::promise<BatchOutcome>>();
    Submission s{
        .model = topics(), .skill = &kObey, .records = {}, .tokens = {}, .done = [promise](BatchOutcome outcome) {
          promise->set_value(std::move(outcome));
        }};
    for (const std::string& text : texts) {
      s.records.emplace_back(text);
      s.tokens.push_back(1);
    }
    const Batcher::Ticket made = batcher->submit(std::move(s));
    if (ticket) *ticket = made;
    if (!made) promise->set_value({.end = End::kFailed, .answers = {}, .message = "refused"});
    return promise->get_future();
  }
  void go_on() {
    if (std::exchange(shut_, false)) open_.set_value();
  }
  const std::vector<std::size_t>& batches() const { return seen_.batches; }
  // Lets the thread begin what never ends by itself.
  std::future<BatchOutcome> send_endless(Batcher::Ticket* ticket) {
    auto out = send({"a", "endless"}, ticket);
    go_on();
    while (seen_.endless == 0) std::this_thread::yield();
    return out;
  }

  Metrics metrics;
  std::optional<Batcher> batcher;
  std::future<BatchOutcome> first;

 private:
  Seen seen_;
  std::promise<void> open_;
  bool shut_ = true;
};

}  // namespace

TEST_CASE("a batcher takes at once what waits, up to its limit, and gives each its own answers") {
  Busy busy({.batch_records = 4});
  std::vector<std::future<BatchOutcome>> all;
  all.reserve(4);
  for (int i = 0; i < 4; ++i) all.push_back(busy.send({"a" + std::to_string(i), "b" + std::to_string(i)}));
  CHECK(busy.batcher->queued_requests() == 4);
  CHECK(busy.batcher->queued_tokens() == 8);
  busy.go_on();
  for (int i = 0; i < 4; ++i) {
    const BatchOutcome outcome = all[static_cast<std::size_t>(i)].get();
    CHECK(outcome.end == End::kAnswered);
    CHECK(outcome.answers == std::vector<Json>{"a" + std::to_string(i), "b" + std::to_string(i)});
  }
  busy.batcher->stop();
  CHECK(busy.batches() == std::vector<std::size_t>{1, 4, 4});
  CHECK(busy.batcher->queued_tokens() == 0);
}

TEST_CASE("a submission larger than a batch is answered in parts, in order") {
  Busy busy({.batch_records = 3});
  std::vector<std::string> texts;
  texts.reserve(10);
  for (int i = 0; i < 10; ++i) texts.push_back(std::to_string(i));
  auto sent = busy.send(texts);
  busy.go_on();
  const BatchOutcome outcome = sent.get();
  REQUIRE(outcome.answers.size() == 10);
  for (std::size_t i = 0; i < 10; ++i) CHECK(outcome.answers[i].get<std::string>() == texts[i]);
}

TEST_CASE("a record that the model refuses fails its own submission alone") {
  Busy busy;
  auto good = busy.send({"a"}), bad = busy.send({"b", "bad"}), usage = busy.send({"usage"}),
       memory = busy.send({"memory"}), other = busy.send({"c"});
  busy.go_on();
  CHECK(good.get().answers == std::vector<Json>{"a"});
  CHECK(other.get().answers == std::vector<Json>{"c"});
  const BatchOutcome refused = bad.get();
  CHECK(refused.end == End::kBadRecord);
  CHECK(refused.message == "record 1: bad");
  CHECK(refused.record == 1);
  CHECK(usage.get().end == End::kBadRequest);
  CHECK(memory.get().end == End::kFailed);
}

TEST_CASE("a full queue refuses, a long wait and a cancellation end a submission") {
  Busy busy({.queue_tokens = 3, .wait = std::chrono::milliseconds(20)});
  Batcher::Ticket ticket;
  auto cancelled = busy.send({"a", "b"}, &ticket);
  auto late = busy.send({"c"});
  CHECK(busy.send({"d"}).get().message == "refused");
  busy.batcher->cancel(ticket);
  busy.batcher->cancel(ticket);
  CHECK(cancelled.get().end == End::kCancelled);
  CHECK(busy.batcher->queued_tokens() == 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  busy.batcher->expire();
  CHECK(late.get().end == End::kExpired);
  CHECK(busy.batcher->queued_tokens() == 0);
  busy.go_on();
  CHECK(busy.first.get().end == End::kAnswered);
  const std::string metrics = busy.metrics.text({});
  for (const char* reason : {"full", "cancelled", "expired"})
    CHECK_THAT(metrics, contains_text("mnemo_rejected_total{reason=\"" + std::string(reason) + "\"} 1\n"));
}

TEST_CASE("what nobody waits for any longer is given up") {
  Busy busy;
  Batcher::Ticket ticket;
  auto endless = busy.send_endless(&ticket);
  auto waiting = busy.send({"b"});
  busy.batcher->cancel(ticket);
  CHECK(endless.get().end == End::kCancelled);
  CHECK(waiting.get().answers == std::vector<Json>{"b"});
}

TEST_CASE("a batcher that stops gives up what it is at") {
  Busy busy;
  Batcher::Ticket ticket;
  auto endless = busy.send_endless(&ticket);
  busy.batcher->stop();
  CHECK(endless.get().end == End::kStopped);
}

TEST_CASE("a batcher that stops refuses what waits, and waits for its threads") {
  Busy busy;
  auto waiting = busy.send({"a"});
  std::thread stopper([&] { busy.batcher->stop(); });
  CHECK(waiting.get().end == End::kStopped);
  busy.go_on();
  stopper.join();
  CHECK(busy.first.get().end == End::kStopped);
  CHECK(busy.send({"b"}).get().message == "refused");
}

namespace {

// Writes "a" as often as the record says, one a step; "bad" is refused, and "fail" fails at its second step.
class Letters : public TextStreams {
 public:
  static std::unique_ptr<TextStreams> make(const TextModel&) { return std::make_unique<Letters>(); }

  void begin(std::int64_t key, const Json& record, Workspace&) override {
    if (record == "bad") throw UsageError("key: bad");
    left_[key] = record == "fail" ? -1 : record.get<int>();
    written_[key] = 0;
  }
  std::vector<StreamEvent> advance(std::span<const std::int64_t> keys, Workspace&) override {
    most_together = std::max(most_together.load(), keys.size());
    std::vector<StreamEvent> out;
    for (const std::int64_t key : keys) {
      StreamEvent& event = out.emplace_back(StreamEvent{.key = key});
      if (left_.at(key) == -2) {
        event.error = "failed";
        continue;
      }
      if (left_[key] > 0) {
        event.piece = "a";
        ++written_[key];
      }
      if (--left_[key] == 0) event.answer = written_[key];
    }
    return out;
  }
  void end(std::int64_t key) override {
    left_.erase(key);
    ++ended;
  }

  static inline std::atomic<std::size_t> most_together = 0, ended = 0;

 private:
  std::map<std::int64_t, int> left_, written_;
};

const Skill kLetters{.name = "letters", .answer = obey, .streams = Letters::make};

std::future<BatchOutcome> write_letters(Batcher& batcher, const std::vector<Json>& records, Batcher::Ticket* ticket,
                                        std::function<bool(const std::string&)> piece = {}, std::int64_t tokens = 1) {
  auto promise = std::make_shared<std::promise<BatchOutcome>>();
  const Batcher::Ticket made = batcher.submit({.model = topics(),
                                               .skill = &kLetters,
                                               .records = records,
                                               .tokens = std::vector<std::int64_t>(records.size(), tokens),
                                               .by_unit = true,
                                               .done = [promise](BatchOutcome o) { promise->set_value(std::move(o)); },
                                               .piece = std::move(piece)});
  REQUIRE(made);
  if (ticket) *ticket = made;
  return promise->get_future();
}

}  // namespace

TEST_CASE("texts that are written unit by unit advance together, and end each by itself") {
  Metrics metrics;
  Letters::most_together = Letters::ended = 0;
  Batcher batcher({.threads = 2}, metrics);
  std::string pieces;
  std::promise<void> begun, may_go_on;
  std::shared_future<void> gate = may_go_on.get_future().share();
  auto first = write_letters(batcher, {5}, nullptr, [&](const std::string& piece) {
    if (pieces.empty()) begun.set_value(), gate.wait();
    pieces += piece;
    return true;
  });
  begun.get_future().wait();
  auto many = write_letters(batcher, std::vector<Json>(100, 3), nullptr);
  auto bad = write_letters(batcher, {2, "bad", 2}, nullptr);
  auto fails = write_letters(batcher, {"fail"}, nullptr);
  may_go_on.set_value();
  CHECK(first.get().answers == std::vector<Json>{5});
  CHECK(pieces == "aaaaa");
  CHECK(many.get().answers == std::vector<Json>(100, 3));
  CHECK(bad.get().end == End::kBadRequest);
  CHECK(fails.get().end == End::kBadRecord);
  CHECK(Letters::most_together == 64);
  CHECK(batcher.queued_tokens() == 0);
  batcher.stop();
  CHECK(Letters::ended >= 103);
  CHECK(batcher.streams() == 0);
}

TEST_CASE("short texts need not wait for many long ones to end") {
  Metrics metrics;
  Batcher batcher({.threads = 1}, metrics);
  Batcher::Ticket ticket;
  auto long_ones = write_letters(batcher, std::vector<Json>(100, 1'000'000'000), &ticket, {}, 1000);
  while (batcher.streams() < 48) std::this_thread::yield();
  CHECK(write_letters(batcher, std::vector<Json>(20, 3), nullptr).get().answers == std::vector<Json>(20, 3));
  CHECK(batcher.streams() == 48);
  batcher.cancel(ticket);
  CHECK(long_ones.get().end == End::kCancelled);
}

TEST_CASE("a text whose reader is behind waits, and holds nobody up") {
  Metrics metrics;
  Batcher batcher({.threads = 1}, metrics);
  std::atomic<int> pieces = 0;
  Batcher::Ticket ticket;
  auto slow = write_letters(batcher, {1000}, &ticket, [&](const std::string&) { return ++pieces != 10; });
  CHECK(write_letters(batcher, {2000}, nullptr).get().answers == std::vector<Json>{2000});
  CHECK(pieces == 10);
  CHECK(batcher.streams() == 1);
  batcher.go_on(ticket);
  CHECK(slow.get().answers == std::vector<Json>{1000});
  CHECK(pieces == 1000);
  // One that nobody wants any longer ends, waiting or not.
  auto waiting = write_letters(batcher, {1000}, &ticket, [&](const std::string&) { return false; });
  CHECK(write_letters(batcher, {10}, nullptr).get().answers == std::vector<Json>{10});
  batcher.cancel(ticket);
  CHECK(waiting.get().end == End::kCancelled);
  auto left = write_letters(batcher, {1'000'000'000}, nullptr);
  batcher.stop();
  CHECK(left.get().end == End::kStopped);
}

TEST_CASE("threads share the batches of a model, and answer as a lone call does") {
  Metrics metrics;
  Batcher batcher({.threads = 3, .batch_tokens = 40}, metrics);
  const Skill& skill = topics()->skills().front();
  ThreadPool pool(1);
  Workspace workspace(pool);
  std::vector<Json> records;
  records.reserve(60);
  for (int i = 0; i < 60; ++i)
    records.push_back({{"text", "the team won " + std::string(static_cast<std::size_t>(i), 'x')}});
  const std::vector<Json> expected = skill.answer(*topics(), records, workspace);
  std::vector<std::future<BatchOutcome>> all;
  all.reserve(records.size());
  for (const Json& record : records) {
    auto promise = std::make_shared<std::promise<BatchOutcome>>();
    all.push_back(promise->get_future());
    batcher.submit({.model = topics(),
                    .skill = &skill,
                    .records = {record, record},
                    .tokens = {5, 5},
                    .done = [promise](BatchOutcome o) { promise->set_value(std::move(o)); }});
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    CHECK(all[i].get().answers == std::vector<Json>{expected[i], expected[i]});
}
