// Replacing a file: the new bytes go to a temporary file beside it, which is synced and then renamed, so that after a
// crash or a full disk either the old or the new file is there, whole. The lock is on the folder itself, by flock: the
// kernel drops it when a process dies, so no stale lock file can remain.
#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
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

// Calls `begin` with the file's size, if it has one, then `use` with its bytes block by block.
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

// Temporary files are called NAME.RANDOM.tmp, where RANDOM is this many hexadecimal digits.
constexpr std::size_t kTemporaryDigits = 12;
constexpr std::uint64_t kTemporaryMask = (std::uint64_t{1} << 4 * kTemporaryDigits) - 1;
constexpr std::string_view kTemporaryEnd = ".tmp";

bool is_temporary_of(std::string_view found, std::string_view name) {
  if (found.size() != name.size() + 1 + kTemporaryDigits + kTemporaryEnd.size()) return false;
  return found.starts_with(name) && found[name.size()] == '.' && found.ends_with(kTemporaryEnd) &&
         found.substr(name.size() + 1, kTemporaryDigits).find_first_not_of("0123456789abcdef") == found.npos;
}

// The target of a link whose target does not exist yet; a path that is not a link as it is.
std::string end_of_links(std::string path) {
  constexpr int kMostLinks = 40;  // as Linux
  for (int links = 0; links < kMostLinks; ++links) {
    std::error_code none;
    const auto target = std::filesystem::read_symlink(path, none);
    if (none) return path;
    path = (std::filesystem::path(path).parent_path() / target).string();
  }
  fail("{}: too many links", path);
}

bool synced(int descriptor) {
  int result = 0;
  do result = ::fsync(descriptor);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

// Fails with EEXIST if the name is taken, even if only since the last check.
bool renamed_without_replacing(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;  // those: file system or kernel without the flag
  return ::link(from.c_str(), to.c_str()) == 0 && ::unlink(from.c_str()) == 0;
}

// What a signal is to remove: a handler must not touch memory that others may be changing.
char doomed[AtomicFile::kRemovedBySignal][PATH_MAX] = {};
std::size_t next_doomed = 0;

void remove_and_end(int signal) {
  for (const auto& path : doomed)
    if (path[0] != '\0') ::unlink(path);
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

std::string read_file(const std::string& path) {
  std::string bytes;
  // Through a small buffer: resizing the string first would touch a large file's memory once more.
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

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  if (file.value < 0 || ::fstat(file.value, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
    return nullptr;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* bytes = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.value, 0);
  if (bytes == MAP_FAILED) return nullptr;
  return std::make_shared<MappedFile>(static_cast<char*>(bytes), size);
}

MappedFile::~MappedFile() { ::munmap(bytes_, size_); }

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
  fail("{}: another run is writing to this folder; wait for it to finish, or set output.dir to another one", path);
}

FolderLock::~FolderLock() { ::close(descriptor_); }

AtomicFile::AtomicFile(std::string path, Existing existing) : path_(std::move(path)), existing_(existing) {
  struct stat old {};
  const bool exists = ::stat(path_.c_str(), &old) == 0;
  if (!exists && errno != ENOENT) fail_with_errno("cannot be examined");
  if (existing_ == Existing::kRefuse && exists) refuse();
  if (exists && S_ISDIR(old.st_mode)) fail("{}: is a folder, expected a file", path_);
  if (exists && !S_ISREG(old.st_mode)) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail_with_errno("cannot open");
    return;
  }
  if (exists) {
    mode_ = old.st_mode & 07777;
    std::error_code none;
    if (const auto target = std::filesystem::canonical(path_, none); !none) path_ = target.string();
  } else {
    path_ = end_of_links(path_);
  }
  create();
}

// Nobody else may have the file open or choose what it is: the name is unpredictable, links are not followed, and a
// file that others may not read is never readable to them, not even briefly.
void AtomicFile::create() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::uint64_t bits = 0;
    if (::getentropy(&bits, sizeof bits) != 0) fail_with_errno("cannot draw a random name");
    temporary_ = fmt::format("{}.{:012x}{}", path_, bits & kTemporaryMask, kTemporaryEnd);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_ ? 0600 : 0666);
    if (descriptor_ >= 0 || errno != EEXIST) break;
  }
  if (descriptor_ < 0) fail_with_errno("cannot create");
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
    if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail_with_errno("cannot write");
    return;
  }
  struct stat made {};
  if (mode_ && (::fstat(descriptor_, &made) != 0 || (made.st_mode & 07777) != *mode_) &&
      ::fchmod(descriptor_, *mode_) != 0)
    fail_with_errno("cannot give the new file the mode of the old one");
  if (!synced(descriptor_)) fail_with_errno("cannot write");
  const auto folder = std::filesystem::path(path_).parent_path();
  const Descriptor parent(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
  if (parent.value < 0 && errno != EACCES) fail_with_errno("cannot open its folder");
  replace();
  // The new name is durable only once the folder is synced. Some file systems cannot do that and return EINVAL.
  if (parent.value >= 0 && !synced(parent.value) && errno != EINVAL)
    fail_with_errno("is written and complete, but its folder cannot be synced");
}

void AtomicFile::remove_on_signal() const {
  if (temporary_.empty() || temporary_.size() >= PATH_MAX) return;
  std::memcpy(doomed[next_doomed++ % kRemovedBySignal], temporary_.c_str(), temporary_.size() + 1);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(signal, remove_and_end) == SIG_IGN) std::signal(signal, SIG_IGN);
}

void AtomicFile::replace() {
  // A close that a signal interrupts has still closed the file, whose bytes are on the disk.
  bool done = ::close(std::exchange(descriptor_, -1)) == 0 || errno == EINTR;
  if (done && existing_ == Existing::kReplace) done = std::rename(temporary_.c_str(), path_.c_str()) == 0;
  if (done && existing_ == Existing::kRefuse) done = renamed_without_replacing(temporary_, path_);
  if (done) return;
  const int code = errno;
  ::unlink(temporary_.c_str());
  if (code == EEXIST) refuse();
  fail("{}: cannot replace: {}", path_, std::strerror(code));
}

void AtomicFile::refuse() { fail("{}: exists already; pass --overwrite to replace it, or name another file", path_); }

void AtomicFile::fail_with_errno(const char* what) { fail("{}: {}: {}", path_, what, std::strerror(errno)); }

void remove_temporaries(const std::string& folder, const std::vector<std::string>& names) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string found = at->path().filename().string();
    const auto left = [&](const std::string& name) { return is_temporary_of(found, name); };
    if (std::any_of(names.begin(), names.end(), left)) ::unlink(at->path().c_str());
  }
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  return std::filesystem::equivalent(a, b, error) && !error;
}

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace mnemo
