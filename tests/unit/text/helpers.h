// Helpers shared by the tests of lib/text.
#pragma once

#include <utf8proc.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "text/utf8.h"

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// One gzip member.
inline std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// The message of the exception that `call` throws; empty if it does not throw.
template <class Exception, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  }
  return {};
}

/// The normal form of the whole text by the library itself.
inline std::string normalized_by_utf8proc(std::string_view text, bool compatibility) {
  const int options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
  utf8proc_uint8_t* result = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(options));
  if (length < 0) return "utf8proc failed";
  std::string normal(reinterpret_cast<char*>(result), static_cast<std::size_t>(length));
  std::free(result);
  return normal;
}

/// Characters that normalisation, segmentation or case mapping affect.
inline const std::u32string& odd_characters() {
  static const std::u32string characters =
      U"aeoAZ0 9_.,':\"-\t\r\n\u00A0\u3000\u0300\u0301\u0308\u0323\u031B\u0345\u05B0\u0344\u0340\u0374\u037E\u0387"
      U"\u1100\u1161\u1162\u11A8\u11C2\uAC00\uAC01\u3131\u314F\uFFA1\uFFC2\u09C7\u09BE\u09D7\u0958\u0F73\u0F71\u0F72"
      U"\u212A\u212B\u2126\uF900\uFB01\uFB1D\uFB2A\uFDFA\uFDFB\uFF21\uFF10\uFF9E\uFF76\u3099\u304B\u304C\u30AB\u00E9"
      U"\u1EC7\u1E9B\u0307\u00A8\u2460\u24C2\u3300\u4E2D\u6587\u20000\U0002F800\U0001F600\U0001F468\u200D\u2764\uFE0F"
      U"\U0001F1E9\U0001F1EA\U0001F3FB\u0130\u1E9E\u03A3\u01C5\u0660\u0966\U0001D7CE\u05D0\u05F4\u30A2\u0600\u0903"
      U"\u0D3E\u0D46\u0D4A\u102E\u1025\U000110BA\U00011099\U00016D63\U00016D67\U000E0020\uFEFF\u0085\u2028\U0010FFFF"
      U"\u0378";
  return characters;
}

inline std::string random_odd_text(mnemo::RandomStream& random, std::size_t longest) {
  std::string text;
  const auto& characters = odd_characters();
  for (auto n = random.below(longest + 1); n > 0; --n)
    mnemo::append_utf8(text, characters[random.below(characters.size())]);
  return text;
}

/// Every Unicode scalar value.
template <class Call>
void for_all_scalars(const Call& call) {
  for (char32_t c = 0; c < 0x110000; ++c)
    if (c < 0xD800 || c > 0xDFFF) call(c);
}

/// A file of the Unicode Character Database as Debian's package unicode-data installs it, plain or compressed by bzip2.
struct UnicodeFile {
  std::vector<std::string> lines;
  std::string problem;  ///< why there are no lines
};

inline UnicodeFile read_unicode_file(const std::string& name, const std::string& version) {
  const std::string path = "/usr/share/unicode/" + name;
  UnicodeFile file;
  std::string text;
  const auto close = [](FILE* pipe) { pclose(pipe); };
  const std::string command = "cat " + path + " 2>/dev/null || bzip2 -dc " + path + ".bz2 2>/dev/null";
  const std::unique_ptr<FILE, decltype(close)> pipe(popen(command.c_str(), "r"), close);
  char buffer[65536];
  for (std::size_t n = 1; pipe && n > 0;) text.append(buffer, n = std::fread(buffer, 1, sizeof(buffer), pipe.get()));
  const std::string first = text.substr(0, text.find('\n'));
  if (text.empty())
    file.problem = path + " is not there (package unicode-data), or bzip2 is not";
  else if (first.find("-" + version + ".txt") == std::string::npos)
    file.problem = path + " is not of Unicode " + version + ": " + first;
  for (std::size_t at = 0; file.problem.empty() && at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    file.lines.push_back(text.substr(at, std::min(text.find('#', at), end) - at));
    at = end + 1;
  }
  return file;
}

/// Code points of hexadecimal numbers between blanks.
inline std::string from_hex(const std::string& numbers) {
  std::string text;
  const char* at = numbers.c_str();
  for (char* end = nullptr;; at = end) {
    const unsigned long value = std::strtoul(at, &end, 16);
    if (end == at) return text;
    mnemo::append_utf8(text, static_cast<char32_t>(value));
  }
}

/// A line of a break test file (÷ 0041 × 0308 ÷): its segments.
inline std::vector<std::string> break_test_segments(const std::string& line) {
  std::vector<std::string> segments;
  for (std::size_t at = line.find("÷"); at != std::string::npos;) {
    const std::size_t next = line.find("÷", at + 1);
    if (next == std::string::npos) break;
    std::string piece = line.substr(at + 2, next - at - 2), numbers;
    for (const char c : piece) numbers += static_cast<unsigned char>(c) < 0x80 ? c : ' ';
    segments.push_back(from_hex(numbers));
    at = next;
  }
  return segments;
}
