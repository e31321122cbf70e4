#define PCRE2_CODE_UNIT_WIDTH 8
#include "tasks/unit_property.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
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

enum class Mark { kNone, kOpening, kClosing, kEither };

// What a character is among quotation marks; `open` are those that are open.
Mark quotation_mark(char32_t c, const std::vector<char32_t>& open) {
  switch (c) {
    case U'"':
      return Mark::kEither;
    case U'“':
      return !open.empty() && open.back() == U'„' ? Mark::kClosing : Mark::kOpening;
    case U'„':
    case U'«':
    case U'「':
    case U'『':
      return Mark::kOpening;
    case U'”':
    case U'»':
    case U'」':
    case U'』':
      return Mark::kClosing;
    default:
      return Mark::kNone;
  }
}

Mark bracket(char32_t c) {
  if (quotation_mark(c, {}) != Mark::kNone || c == U'‚') return Mark::kNone;
  return is_opening_mark(c) ? Mark::kOpening : is_closing_mark(c) ? Mark::kClosing : Mark::kNone;
}

constexpr char kMark = 2;

// Of each byte whether its character is between marks (1) or not (0), or is one (kMark). [bytes]
std::vector<char> between_marks(const std::string& text, bool quotes) {
  std::vector<char> out(text.size());
  std::vector<char32_t> open;
  char32_t before = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_utf8(text.data() + at);
    const char32_t c = point.value;
    if (c == U'\n' && before == U'\n') open.clear();
    before = c;
    Mark mark = quotes ? quotation_mark(c, open) : bracket(c);
    if (mark == Mark::kEither) mark = std::ranges::count(open, c) > 0 ? Mark::kClosing : Mark::kOpening;
    if (mark == Mark::kOpening) open.push_back(c);
    if (mark == Mark::kClosing && !open.empty()) open.pop_back();
    const char state = mark != Mark::kNone ? kMark : open.empty() ? 0 : 1;
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(at), point.length, state);
    at += point.length;
  }
  return out;
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
