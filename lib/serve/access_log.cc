#include "serve/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace mnemo {
namespace {

// As RFC 3339 has it, in UTC.
std::string time_of_now() {
  using std::chrono::milliseconds;
  const auto now = std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  const std::time_t seconds = now.count() / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.count() % 1000);
}

// Whether the last line of a file lacks its end, as after a full disk.
bool ends_torn(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return false;
  struct stat status {};
  char last = '\n';
  if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
    static_cast<void>(!::pread(file, &last, 1, status.st_size - 1));
  ::close(file);
  return last != '\n';
}

}  // namespace

AccessLog::AccessLog(std::string path) : path_(std::move(path)), descriptor_(open()), is_torn_(ends_torn(path_)) {}

AccessLog::~AccessLog() {
  if (descriptor_ != STDERR_FILENO) ::close(descriptor_);
}

int AccessLog::open() const {
  if (path_ == "-") return STDERR_FILENO;
  const int out = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
  if (out < 0) fail("{}: cannot be opened: {}", path_, std::strerror(errno));
  return out;
}

void AccessLog::reopen() {
  const int fresh = open();
  const std::lock_guard lock(mutex_);
  const int old = std::exchange(descriptor_, fresh);
  if (old != STDERR_FILENO) ::close(old);
  is_torn_ = ends_torn(path_);
}

void AccessLog::write(const AccessRecord& r) {
  const Json line{{"time", time_of_now()},  {"client", r.client}, {"method", r.method},
                  {"path", r.path},         {"status", r.status}, {"seconds", std::round(r.seconds * 1e6) / 1e6},
                  {"received", r.received}, {"texts", r.texts}};
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(mutex_);
  if (!write_line(text)) ++dropped_;
}

// Standard error is shared with other processes, for which it must go on waiting: so it is asked for room first. A pipe
// that has room takes PIPE_BUF bytes, which no line exceeds.
bool AccessLog::write_line(const std::string& text) {
  pollfd state{descriptor_, POLLOUT, 0};
  if (::poll(&state, 1, 0) <= 0 || (state.revents & POLLOUT) == 0) return false;
  const std::string out = (is_torn_ ? "\n" : "") + text;
  const ssize_t written = ::write(descriptor_, out.data(), out.size());
  if (written <= 0) return false;
  is_torn_ = out[static_cast<std::size_t>(written) - 1] != '\n';
  return !is_torn_;
}

}  // namespace mnemo
