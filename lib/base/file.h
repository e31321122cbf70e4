// Files as a whole: read them, and replace them so that no reader ever sees half of one.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace mnemo {

/// The bytes of a file. Throws Error if it cannot be opened or read.
std::string read_file(const std::string& path);
/// The same block by block, for files of any size. Throws as `read_file` does.
void read_file_in_blocks(const std::string& path, const std::function<void(std::string_view block)>& use);

bool file_exists(const std::string& path);

/// Makes a folder and those above it. Throws Error where that fails.
void make_folders(const std::string& path);

/// Keeps other processes that want the same folder out of it for as long as it lives, however its process ends. Makes
/// the folder if it is not there. Throws Error if another holds it.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// Writes to a temporary file beside the target; `commit` makes it durable and gives it the final name in one step.
/// Without `commit` the destructor removes it. Links are followed, and a file that is there keeps its mode. What is no
/// regular file (a pipe, a device) is written to as it is. Every failure (a full disk, a folder that is gone) throws
/// Error.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  [[noreturn]] void fail_with_errno(const char* what);

  std::string path_, temporary_;  // temporary_ is empty where the target is written to as it is
  int descriptor_ = -1;
};

/// Replaces a file by a text, as AtomicFile does.
void write_file(const std::string& path, std::string_view text);

}  // namespace mnemo
