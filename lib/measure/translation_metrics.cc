// N-grams are counted without building any: n-grams of one order get numbers, and an n-gram is the number of its first
// n - 1 symbols and its last symbol, one 64-bit key. Different n-grams have different keys, so counts are exact. Only
// those of the reference are stored. One of the hypothesis that is not among them matches nothing, and neither does any
// longer one that begins with it.
#include "measure/translation_metrics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::string_view kSacrebleuVersion = "2.6.0";

struct CodeRange {
  char32_t first, last;
};

// Sorted ranges.
template <std::size_t kCount>
bool in_ranges(char32_t c, const CodeRange (&ranges)[kCount]) {
  for (const CodeRange& range : ranges)
    if (c <= range.last) return c >= range.first;
  return false;
}

// ---- Words as Python has them.

// Python's str.isspace: white space by category or direction, which U+001C to U+001F are and Unicode's property
// White_Space does not include.
bool is_python_space(char32_t c) {
  static constexpr CodeRange kSpaces[] = {{0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
                                          {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                                          {0x205F, 0x205F}, {0x3000, 0x3000}};
  return in_ranges(c, kSpaces);
}

// Calls body(code point, its bytes) for each code point.
template <class Body>
void for_code_points(std::string_view text, const Body& body) {
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, length] = decode_utf8(text.data() + i);
    body(c, text.substr(i, length));
    i += length;
  }
}

std::vector<std::string> python_words(std::string_view text) {
  std::vector<std::string> words;
  std::size_t begin = 0, at = 0;  // of a word, of a code point
  const auto end_word = [&] {
    if (begin < at) words.emplace_back(text.substr(begin, at - begin));
  };
  for_code_points(text, [&](char32_t c, std::string_view bytes) {
    if (is_python_space(c)) {
      end_word();
      begin = at + bytes.size();
    }
    at += bytes.size();
  });
  end_word();
  return words;
}

std::string_view python_strip(std::string_view text) {
  std::size_t begin = text.size(), end = 0, at = 0;
  for_code_points(text, [&](char32_t c, std::string_view bytes) {
    if (!is_python_space(c)) {
      begin = std::min(begin, at);
      end = at + bytes.size();
    }
    at += bytes.size();
  });
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

// ---- Tokens.

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const std::size_t found = text.find(from);
    out += text.substr(0, found);
    if (found == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(found + from.size());
  }
}

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }

// A blank and all ASCII punctuation but ' , - and the full stop.
bool is_parted_symbol(char c) {
  return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

std::string part_symbols(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_parted_symbol(c))
      out += {' ', c, ' '};
    else
      out += c;
  }
  return out;
}

// Puts a blank between a byte that `first` accepts and one after it that `second` accepts, and another before or after
// both. Pairs do not overlap, as in a substitution by a regular expression: of "a..b", only "a." is one that ends with
// a full stop. Bytes serve where the rules speak of characters, since every byte of one that is not ASCII is "no
// digit".
template <class First, class Second>
std::string part_pairs(std::string_view text, First first, Second second, bool blank_before) {
  std::string out;
  std::size_t i = 0;
  while (i + 1 < text.size()) {
    if (!first(text[i]) || !second(text[i + 1])) {
      out += text[i++];
      continue;
    }
    if (blank_before) out += ' ';
    out += {text[i], ' ', text[i + 1]};
    if (!blank_before) out += ' ';
    i += 2;
  }
  out += text.substr(i);
  return out;
}

// The rules that 13a and zh share; each sees the blanks of those before it.
std::string part_western(std::string_view text) {
  const auto no_digit = [](char c) { return !is_ascii_digit(c); };
  std::string out = part_symbols(text);
  out = part_pairs(out, no_digit, is_point, false);
  out = part_pairs(out, is_point, no_digit, true);
  return part_pairs(
      out, is_ascii_digit, [](char c) { return c == '-'; }, false);
}

std::string part_13a(std::string_view line) {
  std::string text(line);
  const auto replace = [&text](std::string_view from, std::string_view to) {
    if (text.find(from) != std::string::npos) text = replace_all(text, from, to);
  };
  replace("<skipped>", "");
  replace("-\n", "");
  // In this order: &amp;lt; becomes <, but &amp;quot; remains &quot;.
  replace("&quot;", "\"");
  replace("&amp;", "&");
  replace("&lt;", "<");
  replace("&gt;", ">");
  return part_western(" " + text + " ");
}

// What sacrebleu's list amounts to. Its two entries beyond U+FFFF are strings of two characters, so that it has U+2001
// to U+2A6D (dashes, curly quotes, arrows among them) in place of the ideographs from U+20000 on.
bool is_zh_token(char32_t c) {
  static constexpr CodeRange kRanges[] = {{0x2001, 0x2A6D}, {0x2E80, 0x2FDF}, {0x2FF0, 0x303F}, {0x3100, 0x312F},
                                          {0x31A0, 0x31EF}, {0x3200, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D},
                                          {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F},
                                          {0xFF00, 0xFFEF}};
  return in_ranges(c, kRanges);
}

std::string part_zh(std::string_view line) {
  std::string text;
  for_code_points(line, [&text](char32_t c, std::string_view bytes) {
    const bool alone = is_zh_token(c);
    if (alone) text += ' ';
    text += bytes;
    if (alone) text += ' ';
  });
  return part_western(text);
}

std::vector<std::string> part_characters(std::string_view line) {
  std::vector<std::string> characters;
  for_code_points(line, [&](char32_t c, std::string_view bytes) {
    if (!is_python_space(c)) characters.emplace_back(bytes);
  });
  return characters;
}

// ---- Matches of n-grams.

using NgramSymbols = std::vector<std::uint32_t>;

constexpr std::uint32_t kNoNgram = 0;

// The n-grams of one order in the reference: their numbers, from 1, and how many of each are not matched yet.
class ReferenceNgrams {
 public:
  // Forgets everything and makes room for `most` different ones.
  void clear(std::size_t most) {
    slots_.assign(std::bit_ceil(2 * most + 1), {});
    last_ = kNoNgram;
  }

  std::uint32_t add(std::uint64_t key) {
    Slot& slot = find(key);
    if (slot.number == kNoNgram) slot = {key, ++last_, 0};
    ++slot.left;
    return slot.number;
  }

  // Its number, or kNoNgram; `matched` grows if one is left.
  std::uint32_t take(std::uint64_t key, std::int64_t& matched) {
    Slot& slot = find(key);
    if (slot.left > 0) --slot.left, ++matched;
    return slot.number;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t number = kNoNgram;  // kNoNgram: the slot is free
    std::uint32_t left = 0;
  };

  // The slot of the key, or the free one where it belongs.
  Slot& find(std::uint64_t key) {
    // The constants are those of SplitMix64 (Steele, Lea & Flood 2014).
    std::uint64_t hash = (key ^ key >> 30) * 0xBF58476D1CE4E5B9ull;
    hash = (hash ^ hash >> 27) * 0x94D049BB133111EBull;
    hash ^= hash >> 31;
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].number != kNoNgram && slots_[at].key != key) at = (at + 1) & mask;
    return slots_[at];
  }

  std::vector<Slot> slots_;  // open addressing; their number is a power of two, at least twice what is stored
  std::uint32_t last_ = kNoNgram;
};

// How many n-grams of a length there are in a sequence.
std::int64_t ngrams_of(std::size_t length, std::size_t n) {
  return length < n ? 0 : static_cast<std::int64_t>(length - n + 1);
}

// For 1 to kOrders the n-grams in both sequences, each as often as in the one that has fewer of it.
template <std::size_t kOrders>
std::array<std::int64_t, kOrders> matched_ngrams(const NgramSymbols& hypothesis, const NgramSymbols& reference) {
  std::array<std::int64_t, kOrders> matched{};
  ReferenceNgrams ngrams;
  // The numbers of the n-grams that begin at each place. There is one n-gram of no symbols, with the number 1.
  NgramSymbols of_hypothesis(hypothesis.size(), 1), of_reference(reference.size(), 1);
  const auto key = [](std::uint32_t start, std::uint32_t symbol) { return std::uint64_t{start} << 32 | symbol; };
  for (std::size_t n = 1; n <= std::min({kOrders, hypothesis.size(), reference.size()}); ++n) {
    ngrams.clear(reference.size() - n + 1);
    for (std::size_t i = 0; i + n <= reference.size(); ++i)
      of_reference[i] = ngrams.add(key(of_reference[i], reference[i + n - 1]));
    for (std::size_t i = 0; i + n <= hypothesis.size(); ++i)
      if (of_hypothesis[i] != kNoNgram)
        of_hypothesis[i] = ngrams.take(key(of_hypothesis[i], hypothesis[i + n - 1]), matched[n - 1]);
  }
  return matched;
}

// The code points but white space.
NgramSymbols chrf_symbols(std::string_view text) {
  NgramSymbols symbols;
  for_code_points(text, [&symbols](char32_t c, std::string_view) {
    if (!is_python_space(c)) symbols.push_back(c);
  });
  return symbols;
}

template <std::size_t kOrders>
void add_times(std::array<std::int64_t, kOrders>& to, const std::array<std::int64_t, kOrders>& from,
               std::int64_t times) {
  for (std::size_t i = 0; i < kOrders; ++i) to[i] += times * from[i];
}

// The brevity penalty times the geometric mean of the first `orders` precisions.
double bleu_of_orders(const BleuCounts& counts, std::size_t orders) {
  const auto precisions = bleu_precisions(counts);
  double sum = 0;
  for (std::size_t n = 0; n < orders; ++n) {
    if (precisions[n] == 0) return 0;
    sum += std::log(precisions[n]);
  }
  return orders == 0 ? 0 : brevity_penalty(counts) * std::exp(sum / static_cast<double>(orders));
}

// ---- Resamples.

double corpus_score(const BleuCounts& counts) { return bleu(counts); }
double corpus_score(const ChrfCounts& counts) { return chrf(counts); }

template <class SentenceCounts>
ResampledMetric resampled_score(const std::vector<SentenceCounts>& sentences) {
  return [&sentences](const ResampleCounts& drawn) {
    SentenceCounts sum;
    for (std::size_t i = 0; i < drawn.size(); ++i)
      if (drawn[i] > 0) sum.add(sentences[i], drawn[i]);
    return corpus_score(sum);
  };
}

template <class SentenceCounts>
Comparison compare_scores(const std::vector<SentenceCounts>& first, const std::vector<SentenceCounts>& second,
                          const std::string& metric, const BootstrapOptions& options) {
  if (first.size() != second.size())
    fail("expected translations of the same sentences, found {} and {} of them", first.size(), second.size());
  return paired_bootstrap(resampled_score(first), resampled_score(second), first.size(), metric, options,
                          Centre::kMean);
}

}  // namespace

std::string_view name_of(BleuTokens tokens) {
  switch (tokens) {
    case BleuTokens::kNone:
      return "none";
    case BleuTokens::kChar:
      return "char";
    case BleuTokens::kZh:
      return "zh";
    default:
      return "13a";
  }
}

std::optional<BleuTokens> bleu_tokens_from_name(std::string_view name) {
  for (const auto tokens : {BleuTokens::k13a, BleuTokens::kNone, BleuTokens::kChar, BleuTokens::kZh})
    if (name_of(tokens) == name) return tokens;
  return std::nullopt;
}

std::vector<std::string> bleu_tokens(std::string_view line, BleuTokens tokens) {
  line = python_strip(line);
  switch (tokens) {
    case BleuTokens::kNone:
      return python_words(line);
    case BleuTokens::kChar:
      return part_characters(line);
    case BleuTokens::kZh:
      return python_words(part_zh(line));
    default:
      return python_words(part_13a(line));
  }
}

// ---- BLEU.

void BleuCounts::add(const BleuCounts& other, std::int64_t times) {
  add_times(correct, other.correct, times);
  add_times(total, other.total, times);
  hypothesis_length += times * other.hypothesis_length;
  reference_length += times * other.reference_length;
}

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  add(other, 1);
  return *this;
}

BleuCounts count_bleu(std::string_view hypothesis, std::string_view reference, BleuTokens tokens) {
  const auto hypothesis_tokens = bleu_tokens(hypothesis, tokens), reference_tokens = bleu_tokens(reference, tokens);
  std::unordered_map<std::string_view, std::uint32_t> known;
  known.reserve(reference_tokens.size());
  NgramSymbols hypothesis_symbols, reference_symbols;
  for (const std::string& token : reference_tokens)
    reference_symbols.push_back(known.try_emplace(token, static_cast<std::uint32_t>(known.size() + 1)).first->second);
  for (const std::string& token : hypothesis_tokens) {
    const auto found = known.find(token);
    hypothesis_symbols.push_back(found == known.end() ? 0 : found->second);
  }
  BleuCounts counts;
  counts.correct = matched_ngrams<kBleuOrders>(hypothesis_symbols, reference_symbols);
  for (std::size_t n = 1; n <= kBleuOrders; ++n) counts.total[n - 1] = ngrams_of(hypothesis_tokens.size(), n);
  counts.hypothesis_length = std::ssize(hypothesis_tokens);
  counts.reference_length = std::ssize(reference_tokens);
  return counts;
}

std::array<double, kBleuOrders> bleu_precisions(const BleuCounts& counts) {
  std::array<double, kBleuOrders> precisions{};
  if (std::ranges::count(counts.correct, 0) == std::ssize(counts.correct)) return precisions;
  double smoothing = 1;
  for (std::size_t n = 0; n < kBleuOrders && counts.total[n] > 0; ++n) {
    const auto total = static_cast<double>(counts.total[n]);
    if (counts.correct[n] == 0) smoothing *= 2;
    precisions[n] =
        counts.correct[n] == 0 ? 100 / (smoothing * total) : 100 * static_cast<double>(counts.correct[n]) / total;
  }
  return precisions;
}

double brevity_penalty(const BleuCounts& counts) {
  if (counts.hypothesis_length >= counts.reference_length) return 1;
  if (counts.hypothesis_length == 0) return 0;
  return std::exp(1 - static_cast<double>(counts.reference_length) / static_cast<double>(counts.hypothesis_length));
}

double bleu(const BleuCounts& counts) { return bleu_of_orders(counts, kBleuOrders); }

double sentence_bleu(const BleuCounts& counts) {
  const auto absent = std::ranges::find(counts.total, 0);
  return bleu_of_orders(counts, static_cast<std::size_t>(absent - counts.total.begin()));
}

std::string bleu_signature(BleuTokens tokens) {
  return fmt::format("nrefs:1|case:mixed|eff:no|tok:{}|smooth:exp|version:{}", name_of(tokens), kSacrebleuVersion);
}

// ---- chrF.

void ChrfCounts::add(const ChrfCounts& other, std::int64_t times) {
  add_times(hypothesis, other.hypothesis, times);
  add_times(reference, other.reference, times);
  add_times(matched, other.matched, times);
}

ChrfCounts& ChrfCounts::operator+=(const ChrfCounts& other) {
  add(other, 1);
  return *this;
}

ChrfCounts count_chrf(std::string_view hypothesis, std::string_view reference) {
  const NgramSymbols hypothesis_symbols = chrf_symbols(hypothesis), reference_symbols = chrf_symbols(reference);
  ChrfCounts counts;
  counts.matched = matched_ngrams<kChrfOrders>(hypothesis_symbols, reference_symbols);
  for (std::size_t n = 1; n <= kChrfOrders; ++n) {
    counts.reference[n - 1] = ngrams_of(reference_symbols.size(), n);
    if (counts.reference[n - 1] > 0) counts.hypothesis[n - 1] = ngrams_of(hypothesis_symbols.size(), n);
  }
  return counts;
}

double chrf(const ChrfCounts& counts) {
  constexpr double kRecallWeight = 2 * 2;  // beta squared
  double precision = 0, recall = 0, orders = 0;
  for (std::size_t n = 0; n < kChrfOrders; ++n) {
    if (counts.hypothesis[n] == 0) continue;  // which it is, too, if the reference has none
    precision += static_cast<double>(counts.matched[n]) / static_cast<double>(counts.hypothesis[n]);
    recall += static_cast<double>(counts.matched[n]) / static_cast<double>(counts.reference[n]);
    ++orders;
  }
  if (precision == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * ((1 + kRecallWeight) * precision * recall / (kRecallWeight * precision + recall));
}

std::string chrf_signature() {
  return fmt::format("nrefs:1|case:mixed|eff:yes|nc:{}|nw:0|space:no|version:{}", kChrfOrders, kSacrebleuVersion);
}

// ---- Uncertainty.

Interval bootstrap_corpus(const std::vector<BleuCounts>& sentences, const BootstrapOptions& options) {
  return bootstrap_interval(resampled_score(sentences), sentences.size(), "bleu", options);
}

Interval bootstrap_corpus(const std::vector<ChrfCounts>& sentences, const BootstrapOptions& options) {
  return bootstrap_interval(resampled_score(sentences), sentences.size(), "chrf", options);
}

Comparison compare_corpora(const std::vector<BleuCounts>& first, const std::vector<BleuCounts>& second,
                           const BootstrapOptions& options) {
  return compare_scores(first, second, "bleu", options);
}

Comparison compare_corpora(const std::vector<ChrfCounts>& first, const std::vector<ChrfCounts>& second,
                           const BootstrapOptions& options) {
  return compare_scores(first, second, "chrf", options);
}

}  // namespace mnemo
