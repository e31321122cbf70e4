// A source of raw bytes, a file or memory, is wrapped in one that decompresses gzip data if the bytes begin with gzip's
// magic number, so that pipes and files of any name work alike.
#include "text/byte_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/shown.h"

namespace mnemo {
namespace {

constexpr std::size_t kInputBytes = std::size_t{1} << 16;

class FileSource : public ByteSource {
 public:
  FileSource(int descriptor, bool owned) : descriptor_(descriptor), owned_(owned) {}
  ~FileSource() override {
    if (owned_) ::close(descriptor_);
  }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  Piece read(char* to, std::size_t capacity) override {
    for (;;) {
      const ssize_t got = ::read(descriptor_, to, capacity);
      if (got >= 0) digest_.add({to, static_cast<std::size_t>(got)});
      if (got >= 0) return {static_cast<std::size_t>(got), got == 0};
      if (errno != EINTR) fail("cannot read: {}", std::strerror(errno));
    }
  }

  bool ready() override {
    pollfd request{descriptor_, POLLIN, 0};
    return ::poll(&request, 1, 0) != 0;  // an error is for read to report
  }

  const ByteDigest& digest() const override { return digest_; }

 private:
  int descriptor_;
  bool owned_;
  ByteDigest digest_;
};

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}

  Piece read(char* to, std::size_t capacity) override {
    const std::size_t count = std::min(capacity, bytes_.size() - at_);
    std::memcpy(to, bytes_.data() + at_, count);
    at_ += count;
    digest_.add({to, count});
    return {count, count == 0};
  }

  bool ready() override { return true; }
  const ByteDigest& digest() const override { return digest_; }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
  ByteDigest digest_;
};

// Passes bytes on, unpacked if the first two are gzip's (RFC 1952). Several gzip members in a row are one text.
class UnpackingSource : public ByteSource {
 public:
  explicit UnpackingSource(std::unique_ptr<ByteSource> packed) : packed_(std::move(packed)), input_(kInputBytes) {}
  ~UnpackingSource() override {
    if (form_ == Form::kGzip) inflateEnd(&stream_);
  }
  UnpackingSource(const UnpackingSource&) = delete;
  UnpackingSource& operator=(const UnpackingSource&) = delete;

  Piece read(char* to, std::size_t capacity) override {
    if (form_ == Form::kOpen && !decide()) return {};
    if (form_ == Form::kGzip) return unpack(to, capacity);
    if (begin_ == end_) return input_ended_ ? Piece{0, true} : packed_->read(to, capacity);
    const std::size_t count = std::min(capacity, end_ - begin_);
    std::memcpy(to, input_.data() + begin_, count);
    begin_ += count;
    return {count, false};
  }

  bool ready() override {
    const bool has_input = begin_ < end_ && form_ != Form::kOpen;
    return has_input || input_ended_ || packed_->ready();
  }

  const ByteDigest& digest() const override { return packed_->digest(); }

 private:
  enum class Form { kOpen, kPlain, kGzip };

  void fill() {
    const Piece piece = packed_->read(input_.data() + end_, input_.size() - end_);
    end_ += piece.bytes;
    input_ended_ = piece.end;
  }

  // A terminal or pipe may give one byte only: a second one is waited for only if the first could begin gzip data.
  bool decide() {
    fill();
    const auto starts_with = [this](std::string_view magic) {
      return std::string_view(input_.data(), end_).substr(0, magic.size()) == magic;
    };
    if (starts_with("\x1f\x8b"))
      start_gzip();
    else if (input_ended_ || (end_ > 0 && !(end_ == 1 && starts_with("\x1f"))))
      form_ = Form::kPlain;
    return form_ != Form::kOpen;
  }

  void start_gzip() {
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) fail("not enough memory to unpack gzip data");
    form_ = Form::kGzip;
    in_member_ = true;
  }

  Piece unpack(char* to, std::size_t capacity) {
    if (begin_ == end_ && !input_ended_) {
      begin_ = end_ = 0;
      fill();
    }
    if (!in_member_) skip_padding();
    if (begin_ == end_) {
      if (input_ended_ && in_member_) fail("the gzip data are cut off: is the file complete?");
      return {0, input_ended_};
    }
    return {inflate_into(to, capacity), false};
  }

  // Zeros after a member are padding, as for gzip itself; anything else must be another member.
  void skip_padding() {
    while (begin_ < end_ && input_[begin_] == 0) ++begin_;
    if (begin_ == end_) return;
    inflateReset(&stream_);
    in_member_ = true;
  }

  std::size_t inflate_into(char* to, std::size_t capacity) {
    capacity = std::min(capacity, std::size_t{1} << 30);
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data() + begin_);
    stream_.avail_in = static_cast<uInt>(end_ - begin_);
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(capacity);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    begin_ = end_ - stream_.avail_in;
    if (code == Z_STREAM_END)
      in_member_ = false;
    else if (code != Z_OK && code != Z_BUF_ERROR)
      fail("damaged gzip data ({})", stream_.msg ? stream_.msg : "unknown reason");
    return capacity - stream_.avail_out;
  }

  std::unique_ptr<ByteSource> packed_;
  std::vector<char> input_;
  std::size_t begin_ = 0, end_ = 0;  // the part of input_ still to be consumed
  bool input_ended_ = false;
  Form form_ = Form::kOpen;
  z_stream stream_{};
  bool in_member_ = false;
};

}  // namespace

FileRange::FileRange(const std::string& path)
    : descriptor_(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)), owned_(path != "-") {
  if (descriptor_ < 0) fail("{}: cannot open: {}", path, std::strerror(errno));
  try {
    check_kind(path == "-" ? "standard input" : path);
  } catch (...) {
    if (owned_) ::close(descriptor_);
    throw;
  }
}

FileRange::~FileRange() {
  if (owned_) ::close(descriptor_);
}

void FileRange::check_kind(const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail("{}: cannot be examined: {}", path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) fail("{}: is a folder, expected a file", path);
  if (!S_ISREG(status.st_mode))
    throw UsageError(fmt::format("--part: {} is not a regular file, which alone can be read in parts", escaped(path)));
  if (!owned_ && ::lseek(descriptor_, 0, SEEK_CUR) != 0)
    throw UsageError("--part: some of standard input has been read already; name the file instead");
  size_ = end_ = static_cast<std::uint64_t>(status.st_size);
  char magic[2];
  if (read_at(0, magic, sizeof magic) == sizeof magic && magic[0] == '\x1f' && magic[1] == '\x8b')
    throw UsageError(fmt::format(
        "--part: {} holds gzip data, which can only be read from the beginning; unpack it first", escaped(path)));
}

std::size_t FileRange::read_at(std::uint64_t at, char* to, std::size_t capacity) const {
  for (;;) {
    const ssize_t got = ::pread(descriptor_, to, capacity, static_cast<off_t>(at));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) fail("cannot read: {}", std::strerror(errno));
  }
}

void FileRange::select(std::uint64_t begin, std::uint64_t end) {
  at_ = begin;
  end_ = end;
}

ByteSource::Piece FileRange::read(char* to, std::size_t capacity) {
  const std::size_t got =
      at_ < end_ ? read_at(at_, to, static_cast<std::size_t>(std::min<std::uint64_t>(capacity, end_ - at_))) : 0;
  if (got == 0 && at_ < end_) fail("the file has become shorter while it is read in parts");
  at_ += got;
  digest_.add({to, got});
  return {got, got == 0};
}

void ByteDigest::add(std::string_view read) {
  bytes += std::ssize(read);
  for (const char byte : read) fnv1a64 = (fnv1a64 ^ static_cast<unsigned char>(byte)) * 0x100000001b3ull;
}

std::unique_ptr<ByteSource> open_byte_source(const std::string& path) {
  if (path == "-") return std::make_unique<UnpackingSource>(std::make_unique<FileSource>(STDIN_FILENO, false));
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("{}: cannot open: {}", path, std::strerror(errno));
  auto file = std::make_unique<FileSource>(descriptor, true);
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) fail("{}: is a folder, expected a file", path);
  return std::make_unique<UnpackingSource>(std::move(file));
}

std::unique_ptr<ByteSource> memory_byte_source(std::string bytes) {
  return std::make_unique<UnpackingSource>(std::make_unique<MemorySource>(std::move(bytes)));
}

}  // namespace mnemo
