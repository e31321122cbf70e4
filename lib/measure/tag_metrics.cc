#include "measure/tag_metrics.h"

#include <algorithm>

#include "base/error.h"

namespace mnemo {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

// Calls body(gold, predicted) for each place, null where a side has none; both lists are in order and without overlaps.
template <class Body>
void for_matches(const std::vector<TagSpan>& gold, const std::vector<TagSpan>& predicted, const Body& body) {
  const auto place = [](const TagSpan& s) { return std::pair(s.begin, s.end); };
  auto g = gold.begin();
  auto p = predicted.begin();
  while (g != gold.end() || p != predicted.end()) {
    if (p == predicted.end() || (g != gold.end() && place(*g) < place(*p))) {
      body(&*g++, nullptr);
    } else if (g == gold.end() || place(*p) < place(*g)) {
      body(nullptr, &*p++);
    } else {
      body(&*g++, &*p++);
    }
  }
}

SpanCounts count(const std::vector<TagSpan>& gold, const std::vector<TagSpan>& predicted) {
  SpanCounts out{std::ssize(gold), std::ssize(predicted), 0};
  for_matches(gold, predicted,
              [&](const TagSpan* g, const TagSpan* p) { out.correct += g && p && g->type == p->type ? 1 : 0; });
  return out;
}

void add_spans(const TaggedSentence& s, TagEvaluation& out, SpanCounts& strict) {
  const auto gold = conlleval_spans(s.gold), predicted = conlleval_spans(s.predicted);
  out.spans += count(gold, predicted);
  for_matches(gold, predicted, [&](const TagSpan* g, const TagSpan* p) {
    const std::string gold_type(g ? g->type : ""), type(p ? p->type : "");
    if (g) ++out.per_type[gold_type].gold;
    if (p) ++out.per_type[type].predicted;
    if (g && p && g->type == p->type) ++out.per_type[type].correct;
    // Words of a segmentation have no type to confuse.
    if (!gold_type.empty() || !type.empty()) ++out.confusion[{gold_type, type}];
  });
  if (out.scheme != TagScheme::kIob1)
    strict += count(strict_spans(s.gold, out.scheme), strict_spans(s.predicted, out.scheme));
}

void add_tokens(const TaggedSentence& s, TagEvaluation& out) {
  for (std::size_t t = 0; t < s.gold.size(); ++t) {
    const bool right = s.gold[t] == s.predicted[t];
    ++out.tokens;
    out.correct_tokens += right ? 1 : 0;
    if (!s.unknown.empty() && s.unknown[t] != 0) {
      ++out.unknown_tokens;
      out.correct_unknown += right ? 1 : 0;
    }
    if (out.scheme != TagScheme::kNone) continue;
    ++out.per_type[s.gold[t]].gold;
    ++out.per_type[s.predicted[t]].predicted;
    if (right) ++out.per_type[s.gold[t]].correct;
    ++out.confusion[{s.gold[t], s.predicted[t]}];
  }
}

}  // namespace

double SpanCounts::precision() const { return ratio(correct, predicted); }
double SpanCounts::recall() const { return ratio(correct, gold); }
double SpanCounts::f1() const { return ratio(2 * correct, gold + predicted); }

SpanCounts& SpanCounts::operator+=(const SpanCounts& other) {
  gold += other.gold;
  predicted += other.predicted;
  correct += other.correct;
  return *this;
}

double TagEvaluation::token_accuracy() const { return ratio(correct_tokens, tokens); }

std::optional<double> TagEvaluation::unknown_accuracy() const {
  if (unknown_tokens == 0) return std::nullopt;
  return ratio(correct_unknown, unknown_tokens);
}

std::map<std::string, double> TagEvaluation::metrics() const {
  std::map<std::string, double> out{{"token_accuracy", token_accuracy()}};
  if (const auto accuracy = unknown_accuracy()) out["unknown_accuracy"] = *accuracy;
  if (scheme == TagScheme::kNone) return out;
  const auto add = [&out](const char* name, double value, std::int64_t counted) {
    if (counted > 0) out[name] = value;
  };
  add("precision", spans.precision(), spans.predicted);
  add("recall", spans.recall(), spans.gold);
  add("f1", spans.f1(), spans.gold + spans.predicted);
  if (strict) add("strict_f1", strict->f1(), strict->gold + strict->predicted);
  return out;
}

SpanCounts count_spans(const TaggedSentence& sentence) {
  return count(conlleval_spans(sentence.gold), conlleval_spans(sentence.predicted));
}

TagEvaluation evaluate_tags(const std::vector<TaggedSentence>& sentences, TagScheme scheme) {
  TagEvaluation out;
  out.scheme = scheme;
  SpanCounts strict;
  for (const TaggedSentence& s : sentences) {
    if (s.gold.size() != s.predicted.size() || (!s.unknown.empty() && s.unknown.size() != s.gold.size()))
      fail("a sentence has {} gold tags, {} predicted", s.gold.size(), s.predicted.size());
    ++out.sentences;
    add_tokens(s, out);
    if (scheme != TagScheme::kNone) add_spans(s, out, strict);
  }
  const bool has_strict = scheme != TagScheme::kNone && scheme != TagScheme::kIob1;
  if (has_strict && strict != out.spans) out.strict = strict;
  return out;
}

}  // namespace mnemo
