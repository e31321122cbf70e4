// Text built piece by piece.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <utility>

namespace mnemo {

/// Adds formatted text at the end of `out`.
template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

}  // namespace mnemo
