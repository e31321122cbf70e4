// Numbers and strings in the tables of model files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mnemo {

/// Unsigned LEB128: seven bits a byte, low ones first, the top bit set on all bytes but the last.
inline void append_number(std::string& bytes, std::uint64_t value) {
  while (value >= 0x80) {
    bytes += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes += static_cast<char>(value);
}

/// Reads what was written so. Throws Error that names the table and the place.
class PackedReader {
 public:
  /// `table` is its name in messages, with an article. The bytes must begin with `magic`.
  PackedReader(std::string_view bytes, std::string_view magic, const char* table) : bytes_(bytes), table_(table) {
    if (!bytes.starts_with(magic)) damaged("it does not begin as it should");
    at_ = magic.size();
  }

  std::string_view take(std::uint64_t count) {
    if (count > left()) damaged("cut off");
    const std::string_view part = bytes_.substr(at_, static_cast<std::size_t>(count));
    at_ += part.size();
    return part;
  }

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      const std::uint64_t low = byte & 0x7Fu;
      if (shift == 63 && low > 1) break;
      value |= low << shift;
      if (byte < 0x80) return value;
    }
    damaged("a number of more than 64 bits");
  }

  std::size_t left() const { return bytes_.size() - at_; }
  void end() const {
    if (left() > 0) damaged("more bytes than it should have");
  }

  [[noreturn]] void damaged(std::string_view reason) const {
    fail("{} is damaged at byte {} of {}: {}", table_, at_, bytes_.size(), reason);
  }

 private:
  std::string_view bytes_;
  const char* table_;
  std::size_t at_ = 0;
};

}  // namespace mnemo
