// The colours of gates, states and weights: the same in the terminal, in drawings and on pages, so that one reads alike
// wherever it is looked at.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace mnemo {

/// Visible on white and on black; the deeper, the larger the value.
struct Tone {
  std::string_view hex, rgb;
  std::array<int, 4> palette;  ///< of xterm's 256 colours, from faint to full
};

inline constexpr Tone kGateTone{"#1a9a8a", "26,154,138", {152, 116, 73, 30}};  ///< from nothing, closed, to full, open
inline constexpr Tone kPositiveTone{"#d6453d", "214,69,61", {217, 174, 167, 124}};
inline constexpr Tone kNegativeTone{"#3b82c4", "59,130,196", {153, 110, 67, 25}};

inline const Tone& tone_of(bool gate, double value) {
  return gate ? kGateTone : value < 0 ? kNegativeTone : kPositiveTone;
}

/// The shade of a depth from 0 to 1 in a terminal, -1 for a depth that is as good as none.
inline int palette_shade(const Tone& tone, double depth) {
  constexpr double kNone = 1.0 / 9;
  if (!(depth >= kNone)) return -1;
  const auto shade = static_cast<std::size_t>((std::min(depth, 1.0) - kNone) / (1 - kNone) * 4);
  return tone.palette[std::min<std::size_t>(shade, 3)];
}

}  // namespace mnemo
