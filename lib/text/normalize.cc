// A text is cut into pieces that can be normalised one by one: each begins at a code point that neither reorders nor
// composes with the one before it. Pieces made of common stable code points are copied without a look-up; only the
// others go through decomposition, ordering and composition, and are recorded if they changed.
#include "text/normalize.h"

#include <utf8proc.h>

#include <algorithm>

#include "text/utf8.h"

namespace mnemo {
namespace {

// The role of a code point in cutting a text into pieces that can be normalised one by one.
enum class Behaviour {
  kStable,     // starts a piece, and is its own normal form unless something joins it
  kChanges,    // starts a piece, and may have another normal form
  kJoinsLeft,  // may be reordered or composed with the code point before it
};

constexpr bool within(char32_t c, char32_t low, char32_t high) { return c >= low && c <= high; }

// Common code points that need no look-up. All are starters with quick check Yes for the form (UAX #15, section 9).
constexpr bool surely_stable_nfc(char32_t c) {
  return c < 0x300 || within(c, 0x400, 0x482) || within(c, 0x1E00, 0x1EFF) || within(c, 0x2010, 0x2027) ||
         within(c, 0x3000, 0x3029) || within(c, 0x3030, 0x3098) || within(c, 0x309B, 0x9FFF) ||
         within(c, 0xAC00, 0xD7A3) || within(c, 0xFF00, 0xFFEF);
}

constexpr bool surely_stable_nfkc(char32_t c) {
  return c < 0x80 || within(c, 0xC0, 0x131) || within(c, 0x400, 0x482) || within(c, 0x3001, 0x3029) ||
         within(c, 0x3041, 0x3096) || within(c, 0x30A1, 0x30FE) || within(c, 0x3400, 0x9FFF) ||
         within(c, 0xAC00, 0xD7A3);
}

constexpr bool surely_stable(char32_t c, Normalization form) {
  return form == Normalization::kNfc ? surely_stable_nfc(c) : surely_stable_nfkc(c);
}

utf8proc_option_t options_of(Normalization form) {
  const int options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | (form == Normalization::kNfkc ? UTF8PROC_COMPAT : 0);
  return static_cast<utf8proc_option_t>(options);
}

// True for all code points that can be reordered or composed leftwards, and for some that cannot, which only makes
// pieces longer. Starters that compose leftwards are vowel signs (category M), Hangul's vowels and finals, and the
// letters of Kirat Rai.
bool may_join_left(utf8proc_int32_t c) {
  if (within(static_cast<char32_t>(c), 0x1160, 0x11FF) || within(static_cast<char32_t>(c), 0x16D63, 0x16D6A))
    return true;
  const auto* property = utf8proc_get_property(c);
  return property->combining_class != 0 ||
         within(static_cast<char32_t>(property->category), UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

// Appends the full decomposition, in the order of the text.
void decompose(char32_t c, Normalization form, std::vector<std::int32_t>& to) {
  constexpr std::size_t kLongest = 18;  // that of U+FDFA; no longer one will be added to Unicode
  const std::size_t size = to.size();
  to.resize(size + kLongest);
  int boundary_class = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), to.data() + size, kLongest,
                                             options_of(form), &boundary_class);
  to.resize(size + static_cast<std::size_t>(std::clamp<utf8proc_ssize_t>(count, 0, kLongest)));
}

Behaviour behaviour(char32_t c, Normalization form, std::vector<std::int32_t>& scratch) {
  if (surely_stable(c, form)) return Behaviour::kStable;
  scratch.clear();
  decompose(c, form, scratch);
  if (may_join_left(scratch[0])) return Behaviour::kJoinsLeft;
  const bool itself = scratch.size() == 1 && scratch[0] == static_cast<std::int32_t>(c);
  return itself ? Behaviour::kStable : Behaviour::kChanges;
}

// Canonical ordering (D109). utf8proc's own takes time quadratic in the number of marks in a row.
void order_marks(std::vector<std::int32_t>& code_points) {
  const auto mark_class = [](std::int32_t c) { return utf8proc_get_property(c)->combining_class; };
  auto at = code_points.begin();
  while (at != code_points.end()) {
    if (mark_class(*at) == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, code_points.end(), [&](std::int32_t c) { return mark_class(c) == 0; });
    std::stable_sort(at, end, [&](std::int32_t a, std::int32_t b) { return mark_class(a) < mark_class(b); });
    at = end;
  }
}

// Appends the normal form of a piece that joins nothing outside it.
void append_normal(std::string_view piece, Normalization form, std::string& normal,
                   std::vector<std::int32_t>& scratch) {
  scratch.clear();
  for (std::size_t at = 0; at < piece.size();) {
    const CodePoint c = decode_utf8(piece.data() + at);
    decompose(c.value, form, scratch);
    at += c.length;
  }
  order_marks(scratch);
  const auto count =
      utf8proc_normalize_utf32(scratch.data(), static_cast<utf8proc_ssize_t>(scratch.size()), options_of(form));
  for (utf8proc_ssize_t i = 0; i < count; ++i)
    append_utf8(normal, static_cast<char32_t>(scratch[static_cast<std::size_t>(i)]));
}

// The start of the first piece at or after `from` that needs work, or the end of the text.
std::size_t stable_until(std::string_view text, std::size_t from, Normalization form,
                         std::vector<std::int32_t>& scratch) {
  std::size_t last = from;
  for (std::size_t at = from; at < text.size();) {
    const CodePoint c = decode_utf8(text.data() + at);
    const Behaviour what = behaviour(c.value, form, scratch);
    if (what == Behaviour::kJoinsLeft) return last;
    if (what == Behaviour::kChanges) return at;
    last = at;
    at += c.length;
  }
  return text.size();
}

std::size_t piece_end(std::string_view text, std::size_t from, Normalization form, std::vector<std::int32_t>& scratch) {
  std::size_t at = from + utf8_length(text[from]);
  while (at < text.size()) {
    const CodePoint c = decode_utf8(text.data() + at);
    if (behaviour(c.value, form, scratch) != Behaviour::kJoinsLeft) break;
    at += c.length;
  }
  return at;
}

template <class Map>
std::string map_code_points(std::string_view text, const Map& map) {
  std::string mapped;
  mapped.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text.data() + at);
    append_utf8(mapped, map(c.value));
    at += c.length;
  }
  return mapped;
}

}  // namespace

std::string_view name_of(Normalization form) {
  switch (form) {
    case Normalization::kNfc:
      return "nfc";
    case Normalization::kNfkc:
      return "nfkc";
    default:
      return "none";
  }
}

std::optional<Normalization> normalization_from_name(std::string_view name) {
  for (const auto form : {Normalization::kNone, Normalization::kNfc, Normalization::kNfkc})
    if (name_of(form) == name) return form;
  return std::nullopt;
}

void normalize_mapped(std::string_view text, Normalization form, std::string& normal, std::vector<ChangedPiece>& pieces,
                      std::vector<std::int32_t>& scratch) {
  if (form == Normalization::kNone) {
    normal += text;
    return;
  }
  const auto offset = [](std::size_t value) { return static_cast<std::uint32_t>(value); };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = stable_until(text, at, form, scratch);
    normal += text.substr(at, begin - at);
    if (begin == text.size()) break;
    const std::size_t end = piece_end(text, begin, form, scratch);
    const auto piece = text.substr(begin, end - begin);
    const std::size_t normal_begin = normal.size();
    append_normal(piece, form, normal, scratch);
    if (std::string_view(normal).substr(normal_begin) != piece)
      pieces.push_back({offset(begin), offset(end), offset(normal_begin), offset(normal.size())});
    at = end;
  }
}

std::string normalize(std::string_view text, Normalization form) {
  std::string normal;
  std::vector<ChangedPiece> pieces;
  std::vector<std::int32_t> scratch;
  normalize_mapped(text, form, normal, pieces, scratch);
  return normal;
}

char32_t to_lower(char32_t value) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(value)));
}

bool is_decimal_digit(char32_t value) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(value)) == UTF8PROC_CATEGORY_ND;
}

bool is_opening_mark(char32_t value) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(value)) == UTF8PROC_CATEGORY_PS;
}

bool is_closing_mark(char32_t value) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(value)) == UTF8PROC_CATEGORY_PE;
}

std::string to_lower(std::string_view text) {
  return map_code_points(text, [](char32_t c) { return to_lower(c); });
}

std::string zero_digits(std::string_view text) {
  return map_code_points(text, [](char32_t c) { return is_decimal_digit(c) ? U'0' : c; });
}

}  // namespace mnemo
