#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "base/error.h"

namespace mnemo {
namespace {

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : value(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int value;
};

// Calls `begin` with the size that the file has, if it has one, then `use` with its bytes block by block.
void read_blocks(const std::string& path, const std::function<void(std::size_t size)>& begin,
                 const std::function<void(std::string_view block)>& use) {
  Descriptor file(path, O_RDONLY);
  if (file.value < 0) fail("{}: cannot open: {}", path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.value, &status) == 0 && S_ISDIR(status.st_mode)) fail("{}: is a folder, expected a file", path);
  begin(static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)));
  std::vector<char> buffer(std::size_t{1} << 18);
  for (;;) {
    const ssize_t got = ::read(file.value, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot read: {}", path, std::strerror(errno));
    if (got == 0) return;
    use({buffer.data(), static_cast<std::size_t>(got)});
  }
}

}  // namespace

std::string read_file(const std::string& path) {
  std::string bytes;
  // Through a small buffer: to clear the whole string first would touch a large file's memory once more.
  const auto begin = [&](std::size_t size) {
    bytes.reserve(size);
    advise_huge_pages(bytes.data(), bytes.capacity());
  };
  read_blocks(path, begin, [&](std::string_view block) { bytes.append(block); });
  return bytes;
}

void read_file_in_blocks(const std::string& path, const std::function<void(std::string_view block)>& use) {
  read_blocks(
      path, [](std::size_t) {}, use);
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

void make_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail("{}: cannot make the folder: {}", path, error.message());
}

FolderLock::FolderLock(const std::string& path) {
  make_folders(path);
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) fail("{}: cannot open the folder: {}", path, std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail("{}: another run is writing to this folder; wait for its end, or set output.dir to another one", path);
}

FolderLock::~FolderLock() { ::close(descriptor_); }

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  std::error_code none;
  if (const auto target = std::filesystem::canonical(path_, none); !none) path_ = target.string();
  struct stat old {};
  const bool exists = ::stat(path_.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode)) fail("{}: is a folder, expected a file", path_);
  if (!exists || S_ISREG(old.st_mode)) temporary_ = path_ + ".tmp";
  descriptor_ = temporary_.empty() ? ::open(path_.c_str(), O_WRONLY | O_CLOEXEC)
                                   : ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_with_errno(temporary_.empty() ? "cannot open" : "cannot create");
  if (exists && !temporary_.empty()) ::fchmod(descriptor_, old.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, from, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with_errno("cannot write");
    from += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (temporary_.empty()) {
    if (::close(std::exchange(descriptor_, -1)) != 0) fail_with_errno("cannot write");
    return;
  }
  if (::fsync(descriptor_) != 0) fail_with_errno("cannot write");
  if (::close(std::exchange(descriptor_, -1)) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary_.c_str());
    fail("{}: cannot replace: {}", path_, std::strerror(code));
  }
  // The rename itself is durable only when the folder is.
  const auto folder = std::filesystem::path(path_).parent_path();
  Descriptor parent(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
  if (parent.value >= 0) ::fsync(parent.value);
}

void AtomicFile::fail_with_errno(const char* what) { fail("{}: {}: {}", path_, what, std::strerror(errno)); }

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace mnemo
