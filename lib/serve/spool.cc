#include "serve/spool.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/unnamed_file.h"

namespace mnemo {
namespace {

constexpr std::size_t kMostInMemory = 1 << 16;  // and written at once

// Clients read it: it names no folder.
[[noreturn]] void fail_to_keep(const std::string& reason) {
  fail(
      "the answers could not be kept in a temporary file: {}; the server's operator can give it another folder, TMPDIR",
      reason);
}

int open_unnamed() {
  std::error_code error;
  const std::string folder = std::filesystem::temp_directory_path(error).string();
  if (error) fail_to_keep(error.message());
  const int out = open_unnamed_file(folder, "mnemo-");
  if (out < 0) fail_to_keep(std::strerror(errno));
  return out;
}

}  // namespace

Spool::~Spool() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Spool::append(std::string_view bytes) {
  text_ += bytes;
  size_ += bytes.size();
  if (text_.size() > kMostInMemory) write_out();
}

void Spool::finish() {
  if (is_file()) write_out();
}

void Spool::write_out() {
  if (descriptor_ < 0) descriptor_ = open_unnamed();
  for (std::size_t done = 0; done < text_.size();) {
    const ssize_t written = ::write(descriptor_, text_.data() + done, text_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_to_keep(std::strerror(errno));
    done += static_cast<std::size_t>(written);
  }
  text_.clear();
}

}  // namespace mnemo
