#include "text/part.h"

#include <charconv>
#include <string>

#include "base/error.h"
#include "base/shown.h"

namespace mnemo {
namespace {

// 0 for anything but digits, and for numbers that are too large.
std::int64_t whole_number(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() ? value : 0;
}

}  // namespace

Part parse_part(std::string_view text, std::string_view option) {
  const std::size_t slash = text.find('/');
  Part part{0, 0};
  if (slash != std::string_view::npos)
    part = {whole_number(text.substr(0, slash)), whole_number(text.substr(slash + 1))};
  if (part.index < 1 || part.count < part.index || part.count > Part::kMostParts)
    throw UsageError(fmt::format("{} {}: expected I/N, part I of N, with I from 1 to N and N up to {}", option,
                                 shown(text), Part::kMostParts));
  return part;
}

}  // namespace mnemo
