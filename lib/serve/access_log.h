// One line of JSON for each request that has ended.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

namespace mnemo {

struct AccessRecord {
  std::string client, method, path;  ///< client: its address; empty for a unix socket
  int status = 0;                    ///< 0: no answer was sent
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

  /// Appends {"time", "client", "method", "path", "status", "seconds", "received", "texts"} with the time of now. A
  /// line that cannot be written is lost.
  void write(const AccessRecord& record);
  /// Opens the file of this name again, as one that was renamed has to be. Throws Error and goes on with the old one.
  void reopen();

 private:
  int open() const;

  const std::string path_;
  std::mutex mutex_;
  int descriptor_;
};

}  // namespace mnemo
