// Whole files: reading them, and replacing them so that no reader ever sees half of one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

/// The bytes of a file. Throws Error if it cannot be opened or read.
std::string read_file(const std::string& path);
/// The same block by block, for files of any size. Throws like `read_file`.
void read_file_in_blocks(const std::string& path, const std::function<void(std::string_view block)>& use);

/// The bytes of a file in memory that all processes which map the file share. They may be written to: a page that is
/// written to becomes the process's own, and the file stays as it is. A file that is cut short in place, instead of
/// being replaced as AtomicFile does, ends the processes that read on in it.
class MappedFile {
 public:
  /// Null if it cannot be mapped, as a pipe, an empty file, or a missing one.
  static std::shared_ptr<MappedFile> open(const std::string& path);
  MappedFile(char* bytes, std::size_t size) : bytes_(bytes), size_(size) {}
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  char* data() { return bytes_; }
  std::string_view bytes() const { return {bytes_, size_}; }

 private:
  char* bytes_;
  std::size_t size_;
};

bool file_exists(const std::string& path);

/// Makes a folder and its parents. Throws Error if that fails.
void make_folders(const std::string& path);

/// Keeps other processes that lock the same folder out of it for as long as it lives, however its process ends. Makes
/// the folder if it does not exist. Throws Error if another process holds the lock.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// What an AtomicFile does if a file of its name exists.
enum class Existing { kReplace, kRefuse };

/// Writes to a temporary file of its own beside the target; `commit` makes it durable and gives it the final name in
/// one step. Without `commit` the destructor removes it. Links are followed, even to targets that do not exist yet, and
/// an existing file keeps its mode. Anything but a regular file (a pipe, a device) is written to directly. Every
/// failure (a full disk, a missing folder) throws Error; with kRefuse so does anything that has the name when the
/// constructor or `commit` checks.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path, Existing existing = Existing::kReplace);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

  /// From now on SIGINT, SIGTERM and SIGHUP, unless they are ignored, remove the temporary file before they end the
  /// process. For a file that stays open while input is awaited; only the last kRemovedBySignal that asked for it are
  /// removed.
  static constexpr std::size_t kRemovedBySignal = 4;
  void remove_on_signal() const;

 private:
  void create();
  void replace();
  [[noreturn]] void refuse();
  [[noreturn]] void fail_with_errno(const char* what);

  std::string path_, temporary_;  // temporary_ is empty where the target is written to directly
  Existing existing_;
  std::optional<unsigned> mode_;  // of the file to replace
  int descriptor_ = -1;
};

/// Removes the temporary files that killed processes left beside files of these names. No other process may be writing
/// them: the caller must hold the folder's lock.
void remove_temporaries(const std::string& folder, const std::vector<std::string>& names);

/// Whether both paths name the same existing file.
bool same_file(const std::string& a, const std::string& b);

/// Replaces a file's content with a text, through AtomicFile.
void write_file(const std::string& path, std::string_view text);

}  // namespace mnemo
