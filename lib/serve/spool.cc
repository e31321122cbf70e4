#include "serve/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace mnemo {
namespace {

constexpr std::size_t kMostInMemory = 1 << 20;
constexpr std::size_t kWritten = 1 << 16;  // at once

int open_unnamed() {
  const std::string folder = std::filesystem::temp_directory_path().string();
  const int direct = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (direct >= 0) return direct;
  // Not every file system has unnamed files.
  std::string name = folder + "/mnemo-XXXXXX";
  const int out = ::mkostemp(name.data(), O_CLOEXEC);
  if (out < 0) fail("a temporary file in {}: {}", folder, std::strerror(errno));
  ::unlink(name.c_str());
  return out;
}

}  // namespace

Spool::~Spool() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Spool::append(std::string_view bytes) {
  text_ += bytes;
  size_ += bytes.size();
  if (text_.size() > (is_file() ? kWritten : kMostInMemory)) write_out();
}

void Spool::finish() {
  if (is_file()) write_out();
}

void Spool::write_out() {
  if (descriptor_ < 0) descriptor_ = open_unnamed();
  for (std::size_t done = 0; done < text_.size();) {
    const ssize_t written = ::write(descriptor_, text_.data() + done, text_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("a temporary file for the answers: {}", std::strerror(errno));
    done += static_cast<std::size_t>(written);
  }
  text_.clear();
}

}  // namespace mnemo
