// One line of JSON for each request that has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace mnemo {

struct AccessRecord {
  std::string client, method, path;  ///< client: its address; empty for a unix socket
  int status = 0;                    ///< 0: no whole answer was sent
  double seconds = 0;
  std::int64_t received = 0;  ///< bytes of the body
  std::int64_t texts = 0;
};

class AccessLog {
 public:
  /// Appends to the file; "-" is standard error. Throws Error if it cannot be opened.
  explicit AccessLog(std::string path);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// Appends {"time", "client", "method", "path", "status", "seconds", "received", "texts"} with the time of now. Never
  /// waits: a line for which there is no room, on a disk or in a pipe whose reader is behind, is dropped.
  void write(const AccessRecord& record);
  /// Opens the file of this name again, as one that was renamed has to be. Throws Error and goes on with the old one.
  void reopen();
  /// Lines.
  std::int64_t dropped() const { return dropped_; }

 private:
  int open() const;
  bool write_line(const std::string& text);

  const std::string path_;
  std::mutex mutex_;
  int descriptor_;
  bool is_torn_;  // the last line lacks its end
  std::atomic<std::int64_t> dropped_{0};
};

}  // namespace mnemo
