// Memory for vectors of floats.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace mnemo {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Asks the system to back the whole huge pages within this memory with huge pages. A refusal costs only speed.
inline void advise_huge_pages(void* memory, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::size_t before = (kHugePage - address % kHugePage) % kHugePage;
  if (bytes < before + kHugePage) return;
  const std::size_t whole = (bytes - before) / kHugePage * kHugePage;
  static_cast<void>(::madvise(static_cast<char*>(memory) + before, whole, MADV_HUGEPAGE));
#else
  static_cast<void>(memory);
  static_cast<void>(bytes);
#endif
}

/// Asks the system to back the whole pages within this memory now, which costs it three fifths of what backing each at
/// its first use does. A refusal costs only speed.
inline void back_pages(void* memory, std::size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  constexpr std::size_t kPage = 4096;  // a multiple of it where pages are larger, else the call is refused
  const std::size_t before = (kPage - reinterpret_cast<std::uintptr_t>(memory) % kPage) % kPage;
  if (bytes < before + kPage) return;
  static_cast<void>(
      ::madvise(static_cast<char*>(memory) + before, (bytes - before) / kPage * kPage, MADV_POPULATE_WRITE));
#else
  static_cast<void>(memory);
  static_cast<void>(bytes);
#endif
}

/// A growable array of floats, aligned to a cache line and not initialised. Growing drops the content. It can also
/// stand for floats of another owner, which have only the alignment of a float.
class AlignedVector {
 public:
  static constexpr std::size_t kAlignment = 64;

  AlignedVector() = default;
  ~AlignedVector() { std::free(memory_); }
  AlignedVector(AlignedVector&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)),
        owner_(std::move(other.owner_)) {}
  AlignedVector& operator=(AlignedVector&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(owner_, other.owner_);
    return *this;
  }

  /// Makes room for `count` floats. Throws std::bad_alloc.
  void resize(std::size_t count) {
    if (count > capacity_) {
      const std::size_t alignment = alignment_of(count);
      const std::size_t bytes = (count * sizeof(float) + alignment - 1) / alignment * alignment;
      take(std::aligned_alloc(alignment, bytes), bytes, alignment);
    }
    size_ = count;
  }

  /// The same for memory that will be written from end to end.
  void resize_whole(std::size_t count) {
    const std::size_t before = capacity_;
    resize(count);
    if (capacity_ > before) back_pages(data_, count * sizeof(float));
  }

  /// Replaces the content with `count` zeros. Memory fresh from the system is not touched until it is used.
  void resize_zeroed(std::size_t count) {
    const std::size_t alignment = alignment_of(count), bytes = count * sizeof(float);
    take(std::calloc(1, bytes + alignment), bytes, alignment);
    size_ = count;
  }

  /// Becomes `count` floats that `owner` keeps, instead of its own memory.
  void borrow(float* floats, std::size_t count, std::shared_ptr<void> owner) {
    std::free(std::exchange(memory_, nullptr));
    data_ = floats;
    size_ = capacity_ = count;
    owner_ = std::move(owner);
  }

  float* data() { return data_; }
  const float* data() const { return data_; }
  std::size_t size() const { return size_; }
  float& operator[](std::size_t i) { return data_[i]; }
  float operator[](std::size_t i) const { return data_[i]; }

 private:
  static std::size_t alignment_of(std::size_t count) {
    return count * sizeof(float) >= 2 * kHugePage ? kHugePage : kAlignment;
  }

  void take(void* memory, std::size_t bytes, std::size_t alignment) {
    if (!memory) throw std::bad_alloc();
    std::free(memory_);
    owner_.reset();
    memory_ = memory;
    const std::size_t excess = reinterpret_cast<std::uintptr_t>(memory) % alignment;
    void* const first = static_cast<char*>(memory) + (excess > 0 ? alignment - excess : 0);
    data_ = static_cast<float*>(first);
    capacity_ = bytes / sizeof(float);
    // Each row of a large matrix is on pages of its own, more of them than the processor's TLB holds.
    advise_huge_pages(data_, bytes);
  }

  void* memory_ = nullptr;
  float* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
  std::shared_ptr<void> owner_;  // of borrowed floats
};

}  // namespace mnemo
