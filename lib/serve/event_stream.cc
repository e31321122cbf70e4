#include "serve/event_stream.h"

#include <algorithm>
#include <utility>

#include "serve/microhttpd.h"

namespace mnemo {
namespace {

// Bytes that wait for a slow reader: above the first the text is told to wait, below the second to go on.
constexpr std::size_t kMostUnsent = 65536, kFewUnsent = 16384;

}  // namespace

bool EventStream::add(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (ended_) return true;
  text_ += text;
  behind_ = text_.size() - sent_ > kMostUnsent;
  wake();
  return !behind_;
}

void EventStream::end(const std::string& text) {
  const std::lock_guard lock(mutex_);
  text_ += text;
  ended_ = true;
  wake();
}

bool EventStream::give_up_if_new() {
  const std::lock_guard lock(mutex_);
  if (!new_) return false;
  ended_ = true;
  suspended_ = false;
  return true;
}

void EventStream::keep_alive(std::chrono::steady_clock::duration silence, const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (new_ || ended_ || std::chrono::steady_clock::now() - last_ < silence) return;
  text_ += text;
  wake();
}

void EventStream::wake() {
  new_ = false;
  last_ = std::chrono::steady_clock::now();
  if (!std::exchange(suspended_, false)) return;
  microhttpd().resume_connection(connection_);
}

ssize_t EventStream::read(char* to, std::size_t most, Batcher& batcher) {
  Batcher::Ticket late;
  std::size_t size = 0;
  {
    const std::lock_guard lock(mutex_);
    size = std::min(most, text_.size() - sent_);
    if (size == 0 && ended_) return MHD_CONTENT_READER_END_OF_STREAM;
    if (size == 0) {
      suspended_ = true;
      microhttpd().suspend_connection(connection_);
      return 0;
    }
    text_.copy(to, size, sent_);
    sent_ += size;
    if (sent_ == text_.size() || sent_ > kMostUnsent) {
      text_.erase(0, sent_);
      sent_ = 0;
    }
    if (behind_ && text_.size() - sent_ < kFewUnsent) {
      behind_ = false;
      late = ticket_.lock();
    }
  }
  if (late) batcher.go_on(late);
  return static_cast<ssize_t>(size);
}

void EventStream::set_ticket(const Batcher::Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  ticket_ = ticket;
}

Batcher::Ticket EventStream::ticket() const {
  const std::lock_guard lock(mutex_);
  return ticket_.lock();
}

}  // namespace mnemo
