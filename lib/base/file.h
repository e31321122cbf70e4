// Files as a whole: read them, and replace them so that no reader ever sees half of one.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// What an AtomicFile does with a file that has its name already.
enum class Existing { kReplace, kRefuse };

/// Writes to a temporary file beside the target, one that no other writer has; `commit` makes it durable and gives it
/// the final name in one step. Without `commit` the destructor removes it. Links are followed, also to what is not
/// there yet, and a file that is there keeps its mode. What is no regular file (a pipe, a device) is written to as it
/// is. Every failure (a full disk, a folder that is gone) throws Error, and so does with kRefuse whatever has the name
/// when the constructor looks or when `commit` does.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path, Existing existing = Existing::kReplace);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  void create();
  void replace();
  [[noreturn]] void refuse();
  [[noreturn]] void fail_with_errno(const char* what);

  std::string path_, temporary_;  // temporary_ is empty where the target is written to as it is
  Existing existing_;
  std::optional<unsigned> mode_;  // of the file that is replaced
  int descriptor_ = -1;
};

/// Removes the temporary files that killed processes left beside files of these names. No other process may be writing
/// them: the caller holds the folder's lock.
void remove_temporaries(const std::string& folder, const std::vector<std::string>& names);

/// Whether both paths lead to one file that exists, by whatever name.
bool same_file(const std::string& a, const std::string& b);

/// Replaces a file by a text, as AtomicFile does.
void write_file(const std::string& path, std::string_view text);

}  // namespace mnemo
