// Word boundaries (UAX #29, section 4).
#pragma once

#include <cstddef>
#include <string_view>

namespace mnemo {

struct WordSegment {
  std::size_t end = 0;            ///< the next boundary after its beginning
  bool white_space_only = false;  ///< all its code points have the property White_Space
};

/// The segment that begins at `begin`, which must be a word boundary (such as 0) in valid UTF-8, and not the end.
WordSegment next_word_segment(std::string_view text, std::size_t begin);

/// The text without the white space (the property White_Space) at its ends.
std::string_view trim_white_space(std::string_view text);

/// The version of Unicode that the boundaries follow, such as "15.0.0".
const char* word_break_unicode_version();

}  // namespace mnemo
