// Memory for vectors of floats.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace mnemo {

/// A growable array of floats that begins on a cache line and is not initialised. Growing drops the content.
class AlignedVector {
 public:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  AlignedVector() = default;
  ~AlignedVector() { std::free(data_); }
  AlignedVector(AlignedVector&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  AlignedVector& operator=(AlignedVector&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  /// Makes room for `count` floats. Throws std::bad_alloc.
  void resize(std::size_t count) {
    if (count > capacity_) {
      const std::size_t wanted = count * sizeof(float);
      const std::size_t alignment = wanted >= 2 * kHugePage ? kHugePage : kAlignment;
      const std::size_t bytes = (wanted + alignment - 1) / alignment * alignment;
      void* memory = std::aligned_alloc(alignment, bytes);
      if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
      // Rows of a large matrix lie on pages of their own, more than the processor's table of them holds. A refusal
      // costs speed only.
      if (alignment == kHugePage) static_cast<void>(::madvise(memory, bytes, MADV_HUGEPAGE));
#endif
      std::free(data_);
      data_ = static_cast<float*>(memory);
      capacity_ = bytes / sizeof(float);
    }
    size_ = count;
  }

  float* data() { return data_; }
  const float* data() const { return data_; }
  std::size_t size() const { return size_; }
  float& operator[](std::size_t i) { return data_[i]; }
  float operator[](std::size_t i) const { return data_[i]; }

 private:
  float* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace mnemo
