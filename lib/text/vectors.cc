// The format has no reliable header, and words may contain blanks. So the dimension is taken from the header or by a
// vote of the first lines, and each line is read from its end: the last fields are the numbers, the rest is the word.
#include "text/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/shown.h"
#include "text/normalize.h"

namespace mnemo {
namespace {

constexpr std::size_t kLinesToLookAt = 16;
constexpr int kLargestDimension = 100000;

bool separates_fields(char c) { return c == ' ' || c == '\t'; }

std::string_view trim_right(std::string_view text) {
  while (!text.empty() && separates_fields(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the last field off a text that is trimmed on the right; empty if there is none.
std::string_view take_last_field(std::string_view& text) {
  std::size_t begin = text.size();
  while (begin > 0 && !separates_fields(text[begin - 1])) --begin;
  const std::string_view field = text.substr(begin);
  text = trim_right(text.substr(0, begin));
  return field;
}

// Nothing if it is not a number. A number too large for a float gives infinity, one too close to zero gives zero.
std::optional<float> parse_float(std::string_view field) {
  const char* end = field.data() + field.size();
  float value = 0;
  const auto result = std::from_chars(field.data(), end, value);
  if (result.ptr != end || result.ec == std::errc::invalid_argument) return std::nullopt;
  if (result.ec == std::errc{}) return value;
  double wide = INFINITY;
  std::from_chars(field.data(), end, wide);
  return static_cast<float>(wide);
}

std::optional<std::int64_t> parse_count(std::string_view field) {
  std::int64_t value = 0;
  const auto result = std::from_chars(field.data(), field.data() + field.size(), value);
  if (result.ec != std::errc{} || result.ptr != field.data() + field.size() || value < 0) return std::nullopt;
  return value;
}

std::string shorten(std::string_view text) { return shown(text, 40); }

// How many fields at the end of a line are numbers; the first field does not count.
int trailing_numbers(std::string_view line) {
  line = trim_right(line);
  int count = 0;
  while (!line.empty()) {
    const std::string_view field = take_last_field(line);
    if (line.empty() || !parse_float(field)) break;
    ++count;
  }
  return count;
}

}  // namespace

/// One pass over a file of vectors.
class VectorsFile {
 public:
  VectorsFile(LineReader lines, const std::function<bool(std::string_view)>& wanted, std::size_t cap,
              int expected_dimension)
      : lines_(std::move(lines)), wanted_(wanted), cap_(cap), expected_dimension_(expected_dimension) {}

  PretrainedVectors read() {
    look_ahead();
    find_dimension();
    for (std::size_t i = report().header ? 1 : 0; i < first_lines_.size() && !full(); ++i)
      add_line(first_lines_[i].text, first_lines_[i].valid, i + 1);
    std::string line;
    for (bool valid = true; !full() && next(line, valid);) add_line(line, valid, lines_.line_number());
    if (usable_ == 0)
      fail("{}: no usable word vectors{}", lines_.name(),
           report().odd > 0 ? "; first odd line: " + report().first_odd : "");
    report().kept = static_cast<std::int64_t>(vectors_.size());
    return std::move(vectors_);
  }

 private:
  struct Line {
    std::string text;
    bool valid;
  };

  VectorsReport& report() { return vectors_.report_; }
  bool full() const { return cap_ > 0 && vectors_.size() >= cap_; }

  bool next(std::string& line, bool& valid) {
    const std::size_t invalid = lines_.invalid_sequences();
    if (!lines_.next(line)) return false;
    valid = lines_.invalid_sequences() == invalid;
    return true;
  }

  void look_ahead() {
    Line line;
    while (first_lines_.size() < kLinesToLookAt && next(line.text, line.valid)) first_lines_.push_back(line);
    if (first_lines_.empty()) fail("{}: expected word vectors, found an empty file", lines_.name());
  }

  void find_dimension() {
    if (!read_header()) report().dimension = most_common_dimension();
    if (report().dimension == 0)
      fail("{}: no word vectors: expected lines WORD NUMBER NUMBER ..., found \"{}\"", lines_.name(),
           shorten(first_lines_[0].text));
    if (expected_dimension_ > 0 && report().dimension != expected_dimension_)
      fail("{}: vectors of dimension {}, expected {}", lines_.name(), report().dimension, expected_dimension_);
  }

  bool read_header() {
    std::string_view rest = trim_right(first_lines_[0].text);
    const auto dimension = parse_count(take_last_field(rest));
    const auto count = parse_count(take_last_field(rest));
    if (!dimension || !count || !rest.empty()) return false;
    if (*dimension < 1 || *dimension > kLargestDimension)
      fail("{}:1: vectors of dimension {}, expected 1 to {}", lines_.name(), *dimension, kLargestDimension);
    report().header = true;
    report().dimension = static_cast<int>(*dimension);
    return true;
  }

  int most_common_dimension() const {
    std::map<int, int> votes;
    int best = 0;
    for (const Line& line : first_lines_) {
      const int dimension = trailing_numbers(line.text);
      if (dimension > 0 && dimension <= kLargestDimension) ++votes[dimension];
    }
    for (const auto& [dimension, count] : votes)
      if (best == 0 || count >= votes[best]) best = dimension;  // of two the larger, as damaged lines are shorter
    return best;
  }

  void add_line(std::string_view line, bool valid, std::size_t number) {
    ++report().lines;
    const std::string reason = valid ? add_word(line) : "invalid UTF-8";
    if (reason.empty()) {
      ++usable_;
      return;
    }
    if (++report().odd == 1) report().first_odd = fmt::format("{}:{}: {}", lines_.name(), number, reason);
  }

  // Returns the reason if the line cannot be used, else an empty string.
  std::string add_word(std::string_view line) {
    if (!split(line)) {
      return fmt::format("expected a word and {} numbers, found \"{}\"", report().dimension, shorten(line));
    }
    if (wanted_ && !wanted_(word_)) return {};
    if (vectors_.words_.find(word_) >= 0) return fmt::format("the word \"{}\" is repeated", shorten(word_));
    const std::size_t size = vectors_.values_.size();
    for (auto field = fields_.rbegin(); field != fields_.rend(); ++field) {
      const auto value = parse_float(*field);
      if (value && std::isfinite(*value)) {
        vectors_.values_.push_back(*value);
        continue;
      }
      vectors_.values_.resize(size);
      return fmt::format("\"{}\" is {}", shorten(*field), value ? "not finite" : "not a number");
    }
    vectors_.words_.insert(word_);
    return {};
  }

  // Sets fields_ (the last one first) and word_. A word of several fields must not end in a number: the line then
  // rather has too many numbers.
  bool split(std::string_view line) {
    line = trim_right(line);
    fields_.clear();
    for (int i = 0; i < report().dimension && !line.empty(); ++i) fields_.push_back(take_last_field(line));
    word_ = line;
    if (word_.empty() || separates_fields(word_[0])) return false;
    const std::string_view last = take_last_field(line);
    return line.empty() || !parse_float(last);
  }

  LineReader lines_;
  const std::function<bool(std::string_view)>& wanted_;
  std::size_t cap_;
  int expected_dimension_;
  std::vector<Line> first_lines_;
  std::vector<std::string_view> fields_;
  std::string_view word_;
  std::int64_t usable_ = 0;
  PretrainedVectors vectors_;
};

PretrainedVectors PretrainedVectors::read(const std::string& path, const std::function<bool(std::string_view)>& wanted,
                                          std::size_t cap, int expected_dimension) {
  return read(LineReader(path, InvalidUtf8::kReplace), wanted, cap, expected_dimension);
}

PretrainedVectors PretrainedVectors::read(LineReader lines, const std::function<bool(std::string_view)>& wanted,
                                          std::size_t cap, int expected_dimension) {
  return VectorsFile(std::move(lines), wanted, cap, expected_dimension).read();
}

std::int64_t PretrainedVectors::find_relaxed(std::string_view word, VectorMatch* match) const {
  const auto found = [&](std::int64_t index, VectorMatch how) {
    if (match) *match = index < 0 ? VectorMatch::kNone : how;
    return index;
  };
  if (const auto index = find(word); index >= 0) return found(index, VectorMatch::kExact);
  const std::string lower = to_lower(word);
  if (const auto index = find(lower); index >= 0) return found(index, VectorMatch::kLower);
  return found(find(zero_digits(lower)), VectorMatch::kDigits);
}

void PretrainedVectors::cover(const Vocabulary& vocabulary) {
  report_.words = report_.covered = 0;
  report_.matched_exact = report_.matched_lower = report_.matched_digits = 0;
  std::uint64_t tokens = 0, tokens_covered = 0;
  for (std::int32_t id = 1; id < vocabulary.size(); ++id) {
    ++report_.words;
    tokens += vocabulary.count(id);
    VectorMatch match = VectorMatch::kNone;
    if (find_relaxed(vocabulary.text(id), &match) < 0) continue;
    ++report_.covered;
    tokens_covered += vocabulary.count(id);
    report_.matched_exact += match == VectorMatch::kExact;
    report_.matched_lower += match == VectorMatch::kLower;
    report_.matched_digits += match == VectorMatch::kDigits;
  }
  report_.tokens = static_cast<std::int64_t>(tokens);
  report_.tokens_covered = static_cast<std::int64_t>(tokens_covered);
}

std::function<bool(std::string_view)> wanted_by(const Vocabulary& vocabulary) {
  const auto forms = std::make_shared<StringTable>();
  for (std::int32_t id = 1; id < vocabulary.size(); ++id) {
    const std::string lower = to_lower(vocabulary.text(id));
    forms->insert(vocabulary.text(id));
    forms->insert(lower);
    forms->insert(zero_digits(lower));
  }
  return [forms](std::string_view word) { return forms->find(word) >= 0; };
}

}  // namespace mnemo
