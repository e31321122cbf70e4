// A file is written with write, so that a full disk is an error rather than a signal, and read through a mapping. Pages
// that a mapping has touched count as memory of the process; they are released by windows as reading goes on, and stay
// in the system's cache as long as it has room. Releasing is harmless at any time: a page that is read again comes
// back.
#include "base/storage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/unnamed_file.h"

namespace mnemo {
namespace {

// A first touch maps up to this much around it; so much is counted for it.
constexpr std::size_t kWindow = std::size_t{64} << 10;
// Of one array, as counted, before its pages are released.
constexpr std::size_t kMostResident = std::size_t{32} << 20;
constexpr std::size_t kWriteBuffer = std::size_t{1} << 20;

std::filesystem::path existing_folder(std::filesystem::path path) {
  std::error_code ignored;
  while (!path.empty() && !std::filesystem::is_directory(path, ignored)) {
    const auto parent = path.parent_path();
    if (parent == path) break;
    path = parent;
  }
  return path.empty() ? "." : path;
}

}  // namespace

bool Storage::take(std::int64_t bytes) {
  const std::int64_t limit = exceeded_ ? limit_ / 8 : limit_;
  if (taken_.fetch_add(bytes) + bytes <= limit) return true;
  taken_ -= bytes;
  return false;
}

int Storage::open_file() const {
  const int descriptor = open_unnamed_file(existing_folder(folder_).string(), "records.");
  if (descriptor < 0) fail_with_errno("cannot make a file");
  return descriptor;
}

void Storage::fail_with_errno(const char* what) const {
  fail(
      "{}: {} for the data beyond training.memory: {}; make room there, set output.dir to another folder, or raise "
      "training.memory",
      existing_folder(folder_).string(), what, std::strerror(errno));
}

StoredBytes::~StoredBytes() {
  if (mapped_)
    ::munmap(data_, size_);
  else
    std::free(data_);
  if (descriptor_ >= 0) ::close(descriptor_);
  if (storage_ && !in_file()) storage_->give_back(static_cast<std::int64_t>(capacity_));
}

void StoredBytes::swap(StoredBytes& other) noexcept {
  std::swap(storage_, other.storage_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  std::swap(written_, other.written_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(mapped_, other.mapped_);
}

void StoredBytes::append(const void* data, std::size_t bytes) {
  if (bytes == 0) return;
  if (size_ - written_ + bytes > capacity_) {
    if (descriptor_ >= 0)
      flush();
    else if (!grow(size_ + bytes))
      move_to_file();
    if (size_ - written_ + bytes > capacity_ && !grow(bytes)) throw std::bad_alloc();
  }
  std::memcpy(data_ + (size_ - written_), data, bytes);
  size_ += bytes;
}

// False if the storage has no memory for it. A large block is moved by the kernel, not copied.
bool StoredBytes::grow(std::size_t least) {
  const std::size_t capacity = descriptor_ >= 0 ? least : std::max({least, capacity_ + capacity_ / 2, std::size_t{64}});
  if (storage_ && descriptor_ < 0 && !storage_->take(static_cast<std::int64_t>(capacity - capacity_))) return false;
  void* data = std::realloc(data_, capacity);
  if (!data) throw std::bad_alloc();
  data_ = static_cast<char*>(data);
  capacity_ = capacity;
  return true;
}

void StoredBytes::move_to_file() {
  storage_->exceed();
  storage_->give_back(static_cast<std::int64_t>(capacity_));
  descriptor_ = storage_->open_file();
  flush();
  std::free(std::exchange(data_, nullptr));
  capacity_ = 0;
  grow(kWriteBuffer);
}

void StoredBytes::flush() {
  const char* from = data_;
  while (written_ < size_) {
    const ssize_t put = ::write(descriptor_, from, size_ - written_);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) storage_->fail_with_errno("cannot write a file");
    from += put;
    written_ += static_cast<std::size_t>(put);
  }
}

void StoredBytes::finish() {
  if (descriptor_ < 0) return;
  flush();
  std::free(std::exchange(data_, nullptr));
  capacity_ = 0;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0);
  if (mapped == MAP_FAILED) storage_->fail_with_errno("cannot map a file");
  data_ = static_cast<char*>(mapped);
  mapped_ = true;
}

void StoredBytes::copy(std::size_t offset, std::size_t bytes, void* to) const {
  const std::size_t window = offset / kWindow;
  std::atomic<std::size_t>& recent = recent_[window % recent_.size()];
  if (!mapped_ || recent.load(std::memory_order_relaxed) / 2 == window) {
    if (bytes > 0) std::memcpy(to, at(offset, bytes), bytes);
    return;
  }
  recent.store(2 * window, std::memory_order_relaxed);
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t got =
        ::pread(descriptor_, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;
    if (got <= 0) storage_->fail_with_errno("cannot read a file");
    done += static_cast<std::size_t>(got);
  }
}

void StoredBytes::touch(std::size_t offset, std::size_t bytes) const {
  const std::size_t window = offset / kWindow;
  std::atomic<std::size_t>& recent = recent_[window % recent_.size()];
  const std::size_t mapped = 2 * window + 1;
  if (mapped == recent.load(std::memory_order_relaxed) && bytes < kWindow) return;
  recent.store(mapped, std::memory_order_relaxed);
  const std::size_t more = bytes + kWindow;
  if (touched_.fetch_add(more, std::memory_order_relaxed) + more < kMostResident) return;
  touched_.store(0, std::memory_order_relaxed);
  ::madvise(data_, size_, MADV_DONTNEED);
}

}  // namespace mnemo
