#include "parallel/thread_transport.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace mnemo {
namespace {

// Messages on their way, by sender and receiver.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<int, int>, std::deque<std::string>> waiting;
  std::set<int> lost;
};

class ThreadTransport : public Transport {
 public:
  ThreadTransport(std::shared_ptr<Mailbox> mailbox, int rank, int ranks)
      : mailbox_(std::move(mailbox)), rank_(rank), ranks_(ranks) {}
  ~ThreadTransport() override { leave(); }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  void end_all(int) override { leave(); }

 private:
  void leave() {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->lost.insert(rank_);
    mailbox_->changed.notify_all();
  }

  void do_exchange(std::span<const Outgoing> sent, std::span<const Incoming> received) override {
    std::unique_lock lock(mailbox_->mutex);
    for (const Outgoing& one : sent)
      mailbox_->waiting[{rank_, one.to}].emplace_back(static_cast<const char*>(one.data),
                                                      static_cast<std::size_t>(one.bytes));
    mailbox_->changed.notify_all();
    for (const Incoming& one : received) {
      auto& from = mailbox_->waiting[{one.from, rank_}];
      mailbox_->changed.wait(lock, [&] { return !from.empty() || mailbox_->lost.contains(one.from); });
      if (from.empty()) fail("process {} is lost", one.from);
      if (std::ssize(from.front()) != one.bytes)
        fail("process {} sent {} bytes, expected {}", one.from, from.front().size(), one.bytes);
      if (one.bytes > 0) std::memcpy(one.data, from.front().data(), from.front().size());
      from.pop_front();
    }
  }

  std::shared_ptr<Mailbox> mailbox_;
  int rank_, ranks_;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> connected_threads(int ranks) {
  const auto mailbox = std::make_shared<Mailbox>();
  std::vector<std::unique_ptr<Transport>> out;
  out.reserve(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) out.push_back(std::make_unique<ThreadTransport>(mailbox, rank, ranks));
  return out;
}

}  // namespace mnemo
