// Unicode normalisation that keeps track of positions in the original, and lower-casing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

/// Unicode's normalisation forms C and KC (UAX #15). NFC leaves full-width forms alone; NFKC replaces them by plain
/// ones.
enum class Normalization { kNone, kNfc, kNfkc };

/// none, nfc, nfkc.
std::string_view name_of(Normalization form);
std::optional<Normalization> normalization_from_name(std::string_view name);

/// A stretch of the original that normalisation changed and that cannot be divided further. Offsets are in bytes, ends
/// exclusive.
struct ChangedPiece {
  std::uint32_t original_begin, original_end;
  std::uint32_t normal_begin, normal_end;
};

/// Appends the normal form of valid UTF-8 to `normal` (usually empty) and one entry to `pieces` for each stretch that
/// changed, in order. Between the pieces both texts are the same. `scratch` is working memory to be reused. The result
/// is exactly the normal form of the whole text.
void normalize_mapped(std::string_view text, Normalization form, std::string& normal, std::vector<ChangedPiece>& pieces,
                      std::vector<std::int32_t>& scratch);

/// The normal form of valid UTF-8.
std::string normalize(std::string_view text, Normalization form);

/// Lower case of one code point by Unicode's simple case mapping: one code point gives one code point, independent of
/// its neighbours and of the language. So İ (U+0130) becomes a plain i, ẞ becomes ß, Σ always becomes σ (also at the
/// end of a word), and I becomes i in Turkish text as well.
char32_t to_lower(char32_t value);

/// True for Unicode's decimal digits (category Nd): 0-9, and those of other scripts, full-width ones included.
bool is_decimal_digit(char32_t value);

/// True for the opening marks of pairs such as brackets (category Ps), and for the closing ones (Pe).
bool is_opening_mark(char32_t value);
bool is_closing_mark(char32_t value);

/// `to_lower` of each code point of valid UTF-8.
std::string to_lower(std::string_view text);

/// Each decimal digit replaced by `0`.
std::string zero_digits(std::string_view text);

}  // namespace mnemo
