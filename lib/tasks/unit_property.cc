#define PCRE2_CODE_UNIT_WIDTH 8
#include "tasks/unit_property.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/shown.h"
#include "text/normalize.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr float kNeither = std::numeric_limits<float>::quiet_NaN();

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

std::string regex_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// \C would match a part of a character.
constexpr std::uint32_t kRegexOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;

std::unique_ptr<pcre2_code, FreeCode> compiled(const std::string& expression) {
  int error = 0;
  PCRE2_SIZE at = 0;
  std::unique_ptr<pcre2_code, FreeCode> out(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                                          expression.size(), kRegexOptions, &error, &at, nullptr));
  if (!out)
    throw UsageError(fmt::format("--find regex:{}: {} at byte {}", escaped(expression), regex_message(error), at));
  return out;
}

// Of each byte whether it is in a match. [bytes]
std::vector<char> in_matches(const std::string& expression, const std::string& text) {
  const auto code = compiled(expression);
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(pcre2_match_data_create_from_pattern(code.get(), nullptr));
  const std::unique_ptr<pcre2_match_context, FreeContext> context(pcre2_match_context_create(nullptr));
  // Enough for any sensible expression, and reached in a moment by one that tries every way to match.
  pcre2_set_match_limit(context.get(), 1'000'000);
  std::vector<char> out(text.size(), 0);
  for (PCRE2_SIZE at = 0; at < text.size();) {
    const int found = pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                  PCRE2_NO_UTF_CHECK, match.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) fail("--find regex:{}: {}", escaped(expression), regex_message(found));
    const PCRE2_SIZE* place = pcre2_get_ovector_pointer(match.get());
    for (PCRE2_SIZE i = place[0]; i < place[1]; ++i) out[i] = 1;
    at = place[1];
    if (place[1] <= place[0]) do
        ++at;
      while (at < text.size() && is_continuation(text[at]));
  }
  return out;
}

bool is_ascii_letter(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }

// Whether a character is an opening quotation mark, given the one before it.
bool opens_quotation(char32_t c, char32_t before) {
  switch (c) {
    case U'"':
      // After a Latin letter or a digit it is a closing one, or the mark of inches; ideographs have no blank before it.
      return !is_ascii_letter(before) && !is_decimal_digit(before);
    case U'“':
    case U'„':
    case U'«':
    case U'「':
    case U'『':
      return true;
    default:
      return false;
  }
}

bool is_quotation_mark(char32_t c) {
  return opens_quotation(c, U' ') || c == U'”' || c == U'»' || c == U'」' || c == U'』' || c == U'‚';
}

bool opens_bracket(char32_t c) { return is_opening_mark(c) && !is_quotation_mark(c); }

// The opening marks to which a mark is the closing one, of no mark none. Unicode has the two brackets of a pair
// beside each other, or in ASCII and its wide forms with one character between them.
std::vector<char32_t> openings_of(char32_t c, bool quotes) {
  if (!quotes) {
    if (!is_closing_mark(c) || is_quotation_mark(c)) return {};
    return {opens_bracket(c - 1) ? c - 1 : c - 2};
  }
  switch (c) {
    case U'"':
      return {U'"'};
    case U'“':
      return {U'„'};
    case U'”':
      return {U'“', U'„'};
    case U'»':
      return {U'«'};
    case U'」':
      return {U'「'};
    case U'』':
      return {U'『'};
    default:
      return {};
  }
}

constexpr char kMark = 2;

// Finds pairs of marks within a paragraph; a mark without its counterpart is a character as any other.
class Pairs {
 public:
  explicit Pairs(std::size_t bytes) : depth_(bytes + 1), mark_(bytes) {}

  void open(char32_t c, std::size_t begin, std::size_t end) {
    open_.push_back({c, begin, end});
    ++count_[c];
  }

  // Whether one of the openings is open. Those after it have no counterpart.
  bool close(const std::vector<char32_t>& openings, std::size_t begin, std::size_t end) {
    if (std::ranges::none_of(openings, [&](char32_t c) { return count_[c] > 0; })) return false;
    while (std::ranges::find(openings, open_.back().character) == openings.end()) drop();
    const Open opening = open_.back();
    drop();
    ++depth_[opening.end];
    --depth_[begin];
    std::fill(mark_.begin() + static_cast<std::ptrdiff_t>(opening.begin),
              mark_.begin() + static_cast<std::ptrdiff_t>(opening.end), 1);
    std::fill(mark_.begin() + static_cast<std::ptrdiff_t>(begin), mark_.begin() + static_cast<std::ptrdiff_t>(end), 1);
    return true;
  }

  void end_paragraph() {
    open_.clear();
    count_.clear();
  }

  // Of each byte whether it is inside a pair (1) or not (0), or a mark of one (kMark).
  std::vector<char> states() const {
    std::vector<char> out(mark_.size());
    std::int64_t depth = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      depth += depth_[i];
      out[i] = mark_[i] ? kMark : depth > 0 ? 1 : 0;
    }
    return out;
  }

 private:
  struct Open {
    char32_t character;
    std::size_t begin, end;
  };

  void drop() {
    --count_[open_.back().character];
    open_.pop_back();
  }

  std::vector<Open> open_;
  std::map<char32_t, std::size_t> count_;  // of those that are open
  std::vector<std::int32_t> depth_;        // its change from byte to byte
  std::vector<char> mark_;
};

// Of each byte its state as Pairs has it. [bytes]
std::vector<char> between_marks(const std::string& text, bool quotes) {
  Pairs pairs(text.size());
  char32_t before = U' ';
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_utf8(text.data() + at);
    const char32_t c = point.value;
    const std::size_t end = at + point.length;
    if (c == U'\n' && before == U'\n') pairs.end_paragraph();
    const auto openings = openings_of(c, quotes);
    if ((openings.empty() || !pairs.close(openings, at, end)) &&
        (quotes ? opens_quotation(c, before) : opens_bracket(c)))
      pairs.open(c, at, end);
    before = c;
    at = end;
  }
  return pairs.states();
}

constexpr std::string_view kLabelPrefix = "label:", kRegexPrefix = "regex:";

}  // namespace

UnitProperty::UnitProperty(const std::string& spelled) {
  if (spelled == "brackets" || spelled == "quotes" || spelled == "position") {
    kind_ = spelled == "brackets" ? Kind::kBrackets : spelled == "quotes" ? Kind::kQuotes : Kind::kPosition;
  } else if (spelled.starts_with(kLabelPrefix) && spelled.size() > kLabelPrefix.size()) {
    kind_ = Kind::kLabel;
    argument_ = spelled.substr(kLabelPrefix.size());
  } else if (spelled.starts_with(kRegexPrefix) && spelled.size() > kRegexPrefix.size()) {
    kind_ = Kind::kRegex;
    argument_ = spelled.substr(kRegexPrefix.size());
    if (find_invalid_utf8(argument_)) throw UsageError("--find regex: the expression is not valid UTF-8");
    compiled(argument_);
  } else {
    throw UsageError(
        fmt::format("--find {}: expected brackets, quotes, position, label:X or regex:R", escaped(spelled)));
  }
}

std::string UnitProperty::name() const {
  switch (kind_) {
    case Kind::kBrackets:
      return "being inside brackets";
    case Kind::kQuotes:
      return "being inside quotation marks";
    case Kind::kPosition:
      return "the position";
    case Kind::kLabel:
      return "label " + argument_;
    case Kind::kRegex:
      return "matches of " + argument_;
  }
  return {};
}

std::vector<float> UnitProperty::values(const std::string& text, const UnitPlaces& places) const {
  std::vector<float> out;
  if (kind_ == Kind::kPosition) {
    float position = 0;
    for (const auto& [begin, end] : places) {
      out.push_back(position);
      position = std::string_view(text).substr(begin, end - begin).find('\n') == text.npos ? position + 1 : 0;
    }
    return out;
  }
  const std::vector<char> bytes =
      kind_ == Kind::kRegex ? in_matches(argument_, text) : between_marks(text, kind_ == Kind::kQuotes);
  for (const auto& [begin, end] : places) {
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(begin),
               last = bytes.begin() + static_cast<std::ptrdiff_t>(end);
    if (kind_ == Kind::kRegex) {
      out.push_back(std::count(first, last, 1) > 0 ? 1.0f : 0.0f);
    } else {
      const auto character = std::find_if(first, last, [](char state) { return state != kMark; });
      out.push_back(character == last ? kNeither : static_cast<float>(*character));
    }
  }
  return out;
}

bool UnitProperty::among(const std::vector<std::string>& labels) const {
  return std::ranges::count(labels, argument_) > 0;
}

}  // namespace mnemo
