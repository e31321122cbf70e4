#include "tasks/generate/unit_stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace mnemo {

void UnitStream::add(std::int32_t id) {
  if (std::ssize(ids_) == in_memory_) write_out();
  ids_.push_back(id);
  ++size_;
}

void UnitStream::write_out() {
  if (!file_) file_.reset(std::tmpfile());
  if (!file_) fail("cannot make a temporary file for the corpus: {}", std::strerror(errno));
  if (std::fwrite(ids_.data(), sizeof ids_[0], ids_.size(), file_.get()) != ids_.size() || std::fflush(file_.get()))
    fail("cannot write the corpus to a temporary file: {}", std::strerror(errno));
  written_ += std::ssize(ids_);
  ids_.clear();
}

void UnitStream::read(std::int64_t first, std::span<std::int32_t> out) const {
  if (!reversed_) return read_added(first, out);
  read_added(size_ - first - std::ssize(out), out);
  std::ranges::reverse(out);
}

void UnitStream::read_added(std::int64_t first, std::span<std::int32_t> out) const {
  const auto stored = std::clamp<std::int64_t>(written_ - first, 0, std::ssize(out));
  auto* bytes = reinterpret_cast<char*>(out.data());
  const std::int64_t wanted = stored * static_cast<std::int64_t>(sizeof out[0]);
  for (std::int64_t done = 0; done < wanted;) {
    const auto got = ::pread(::fileno(file_.get()), bytes + done, static_cast<std::size_t>(wanted - done),
                             first * static_cast<std::int64_t>(sizeof out[0]) + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("cannot read the corpus from its temporary file: {}", std::strerror(got < 0 ? errno : EIO));
    done += got;
  }
  std::copy_n(ids_.begin() + (first + stored - written_), std::ssize(out) - stored, out.begin() + stored);
}

}  // namespace mnemo
