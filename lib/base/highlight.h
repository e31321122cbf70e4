// The parts of a text that a terminal shows in colour, beside the text, so that colours of the program's own are never
// mistaken for control sequences of the text.
#pragma once

#include <cstddef>

namespace mnemo {

struct Highlight {
  std::size_t begin, end;  ///< bytes of the text
  /// As ECMA-48 numbers them: 31 red to 36 cyan, 41 to 46 behind the text. Or kPalette and a number of xterm's palette
  /// of 256 colours, behind the text, which is black or white then.
  int colour;
};
inline constexpr int kPalette = 256;

}  // namespace mnemo
