// Arrays that grow in memory up to a limit, and in files beyond it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

namespace mnemo {

class ThreadPool;

/// The memory that the arrays of a run share, and where they lie beyond it. Threads may share it.
class Storage {
 public:
  /// Bytes of memory that all arrays may have together before the first moves to a file, and the folder of the files;
  /// of a folder that does not exist, the nearest one above it that does.
  Storage(std::string folder, std::int64_t limit) : folder_(std::move(folder)), limit_(limit) {}

  /// Whether there is so much memory left. If so, it is taken. Once something lies in a file only an eighth of the
  /// limit is given, as the rest is needed by what reads it.
  bool take(std::int64_t bytes);
  void give_back(std::int64_t bytes) { taken_ -= bytes; }
  /// Memory is not enough from now on: something goes to a file.
  void exceed() { exceeded_ = true; }
  bool exceeded() const { return exceeded_; }

  /// A new file without a name, which the kernel removes when nothing uses it any more, however the process ends.
  /// Throws Error if it cannot be made.
  int open_file() const;
  /// Throws Error for a failed operation on such a file, with errno's reason.
  [[noreturn]] void fail_with_errno(const char* what) const;

  /// The threads that work on the arrays' content; null: the caller alone.
  ThreadPool* pool = nullptr;

 private:
  std::string folder_;
  std::int64_t limit_;
  std::atomic<std::int64_t> taken_ = 0;
  std::atomic<bool> exceeded_ = false;
};

/// Bytes that are appended first and read later. They lie in memory or, as soon as their storage has no more of it, in
/// a file that is written in order, then mapped; of its pages only the last used ones stay resident. Threads may read
/// together.
class StoredBytes {
 public:
  /// Without a storage they lie in memory, whatever their number.
  explicit StoredBytes(std::shared_ptr<Storage> storage = nullptr) : storage_(std::move(storage)) {}
  ~StoredBytes();
  StoredBytes(StoredBytes&& other) noexcept { swap(other); }
  StoredBytes& operator=(StoredBytes&& other) noexcept {
    swap(other);
    return *this;
  }

  /// Throws Error if the file cannot be written, std::bad_alloc if there is no memory.
  void append(const void* data, std::size_t bytes);
  /// Ends the appending. Until then nothing can be read.
  void finish();

  std::size_t size() const { return size_; }
  bool in_file() const { return descriptor_ >= 0; }
  /// Copies bytes from `offset` on. What lies in a file is read rather than mapped unless others near it were lately:
  /// mapping suits reading in order, and costs several times as much where every place is another.
  void copy(std::size_t offset, std::size_t bytes, void* to) const;
  /// Valid for the life of this object.
  const char* at(std::size_t offset, std::size_t bytes) const {
    if (mapped_) touch(offset, bytes);
    return data_ + offset;
  }

 private:
  void swap(StoredBytes& other) noexcept;
  bool grow(std::size_t least);
  void move_to_file();
  void flush();
  void touch(std::size_t offset, std::size_t bytes) const;

  std::shared_ptr<Storage> storage_;
  char* data_ = nullptr;  // in memory: all bytes; while a file is written: those that are not in it yet
  std::size_t size_ = 0, capacity_ = 0;
  std::size_t written_ = 0;  // to the file
  int descriptor_ = -1;      // of the file
  bool mapped_ = false;
  // Windows that were used lately, one of each remainder: twice the number, and one if its pages are mapped. Bytes of
  // mapped windows since a release.
  mutable std::array<std::atomic<std::size_t>, 16> recent_{};
  mutable std::atomic<std::size_t> touched_ = 0;
};

/// The same of values of one type.
template <class T>
class StoredArray {
 public:
  static_assert(std::is_trivially_copyable_v<T>);
  explicit StoredArray(std::shared_ptr<Storage> storage = nullptr) : bytes_(std::move(storage)) {}

  void push_back(const T& value) { bytes_.append(&value, sizeof(T)); }
  void append(std::span<const T> values) { bytes_.append(values.data(), values.size_bytes()); }
  void finish() { bytes_.finish(); }

  std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size() / sizeof(T)); }
  bool in_file() const { return bytes_.in_file(); }
  const T& operator[](std::int64_t i) const { return *values(i, 1).data(); }
  void copy(std::int64_t i, std::span<T> to) const {
    bytes_.copy(static_cast<std::size_t>(i) * sizeof(T), to.size_bytes(), to.data());
  }
  /// `count` values from the i-th.
  std::span<const T> values(std::int64_t i, std::int64_t count) const {
    const auto first = static_cast<std::size_t>(i), n = static_cast<std::size_t>(count);
    // Files are mapped at the beginning of a page, and memory is aligned for any type.
    return {reinterpret_cast<const T*>(bytes_.at(first * sizeof(T), n * sizeof(T))), n};
  }

 private:
  StoredBytes bytes_;
};

}  // namespace mnemo
