// The body of an answer that is sent while it is being made: the batcher's threads write it, libmicrohttpd's reads it.
#pragma once

#include <microhttpd.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "serve/batcher.h"

namespace mnemo {

/// Its connection is suspended at first, and whenever there is nothing to be read; what is written resumes it. It may
/// outlive the connection: nothing is written to one that is not suspended.
class EventStream {
 public:
  explicit EventStream(MHD_Connection* connection) : connection_(connection) {}

  /// Returns false if the reader is far behind; the text should then wait, and `read` says when to go on.
  bool add(const std::string& text);
  /// Ends the body with this text.
  void end(const std::string& text);
  /// Whether nothing has been written yet. Then nothing will be: the connection is left to the caller, still suspended.
  bool give_up_if_new();
  /// Adds `text` if nothing has been sent for so long, so that proxies and clients see that the server lives.
  void keep_alive(std::chrono::steady_clock::duration silence, const std::string& text);

  /// For libmicrohttpd's thread: the next bytes, at most `most`; 0, with the connection suspended, if there are none
  /// yet; negative at the end.
  ssize_t read(char* to, std::size_t most, Batcher& batcher);

  void set_ticket(const Batcher::Ticket& ticket);
  Batcher::Ticket ticket() const;

 private:
  void wake();  // under the lock

  mutable std::mutex mutex_;
  MHD_Connection* const connection_;
  std::string text_;
  std::size_t sent_ = 0;  // of text_
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  bool new_ = true, ended_ = false, suspended_ = true, behind_ = false;
  std::weak_ptr<Batcher::Item> ticket_;  // whose submission holds this object
};

}  // namespace mnemo
