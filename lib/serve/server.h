// The server: HTTP on libmicrohttpd over the batcher.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "serve/listener.h"
#include "serve/served_models.h"

namespace mnemo {

struct ServerOptions {
  std::string token = {};                          ///< of Authorization: Bearer; empty: none is asked for
  std::string cors = {};                           ///< the origin whose pages may read answers, or *; empty: none
  std::int64_t max_body = 1 << 20;                 ///< bytes; of lines: of each
  std::int64_t max_lines = std::int64_t{1} << 32;  ///< bytes of a body of lines
  std::int64_t max_held = 64 << 20;                ///< bytes of bodies and answers of all requests at a time
  std::int64_t max_texts = 1000, max_queue_tokens = 1'000'000;
  double wait_seconds = 10;     ///< longest wait in the queue
  double receive_seconds = 30;  ///< longest time in which a request may be sent; of lines: 16 KiB of the body
  std::string access_log = {};  ///< the file of lines of requests, or -; empty: none
  bool any_host = false;        ///< whether requests to a loopback address may have any Host header
  int threads = 1;              ///< that answer
};

/// Answers from construction to destruction, with threads of its own.
class Server {
 public:
  /// `models` must outlive it. Throws Error if the system does not let it start.
  Server(const ServerOptions& options, std::unique_ptr<Listener> listener, ServedModels& models);
  ~Server();

  const std::string& shown_address() const;

  /// Ends what has taken too long, and requests of clients that went away. To be called a few times a second.
  void tick();

  /// ServedModels::reload, counted. Opens the access log again.
  void reload(const Log& loaded, const Log& refused);

  /// Accepts nothing more, answers what has been asked, and returns when all is answered or the time is over. Requests
  /// that still wait then are refused.
  void drain(double seconds);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace mnemo
