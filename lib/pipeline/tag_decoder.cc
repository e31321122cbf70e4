#include "pipeline/tag_decoder.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace mnemo {
namespace {

// At a break one span ends and another begins. Tags that do not fit get a large negative score; a finite one, as it may
// be that no other tags are allowed.
constexpr double kNearlyNever = -1e5;

char shown_letter(const TagColumn& column, char letter) {
  const bool both_ends = column.scheme == TagScheme::kBioes;
  switch (column.data_scheme) {
    case TagScheme::kIob1:
      return 'I';
    case TagScheme::kBio:
      return letter == 'B' || letter == 'S' ? 'B' : 'I';
    case TagScheme::kIoe2:
      return !both_ends ? letter : letter == 'E' || letter == 'S' ? 'E' : 'I';
    case TagScheme::kBilou:
      return letter == 'E' ? 'L' : letter == 'S' ? 'U' : letter;
    default:
      return letter;
  }
}

}  // namespace

std::vector<std::string> model_tags(const std::vector<std::string>& found, TagScheme data_scheme, TagScheme scheme) {
  std::set<std::string> out, types;
  bool outside = false;
  for (const std::string& tag : found) {
    if (scheme == TagScheme::kNone) {
      out.insert(tag);
      continue;
    }
    const auto parts = split_tag(tag, data_scheme);
    if (parts && parts->letter != 'O') types.insert(std::string(parts->type));
    outside = outside || (parts && parts->letter == 'O');
  }
  const std::string_view letters = scheme == TagScheme::kBmes ? "BMES" : scheme == TagScheme::kBioes ? "BIES" : "BI";
  for (const std::string& type : types)
    for (const char letter : letters) out.insert(letter_tag(letter, type));
  if (outside) out.insert("O");
  return {out.begin(), out.end()};
}

std::vector<std::string> shown_tags(const TagColumn& column, std::vector<std::size_t>* place) {
  std::vector<std::string> names;
  for (const std::string& tag : column.tags) {
    const auto parts = split_tag(tag, column.scheme);
    const bool spans = column.scheme != TagScheme::kNone && parts && parts->letter != 'O';
    std::string name = tag;
    if (spans) name = letter_tag(shown_letter(column, parts->letter), parts->type);
    names.push_back(std::move(name));
  }
  std::vector<std::string> out = names;
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  for (std::size_t j = 0; place && j < names.size(); ++j)
    place->push_back(static_cast<std::size_t>(std::lower_bound(out.begin(), out.end(), names[j]) - out.begin()));
  return out;
}

AllowedTransitions allowed_transitions(const TagColumn& column) {
  const auto K = std::ssize(column.tags);
  AllowedTransitions out(K);
  for (std::ptrdiff_t i = 0; i < K; ++i) {
    out.begin[i] = may_begin(column.tags[i], column.scheme) ? 1 : 0;
    out.end[i] = may_end(column.tags[i], column.scheme) ? 1 : 0;
    for (std::ptrdiff_t j = 0; j < K; ++j)
      out.next[i * K + j] = may_follow(column.tags[i], column.tags[j], column.scheme) ? 1 : 0;
  }
  return out;
}

std::vector<std::int32_t> tag_ids(const TagColumn& column, std::span<const std::string> tags) {
  std::vector<std::string> spelled(tags.begin(), tags.end());
  if (column.scheme != TagScheme::kNone) spelled = spell_spans(conlleval_spans(tags), tags.size(), column.scheme);
  std::vector<std::int32_t> out;
  for (const std::string& tag : spelled) {
    const auto found = std::lower_bound(column.tags.begin(), column.tags.end(), tag);
    const bool known = found != column.tags.end() && *found == tag;
    out.push_back(known ? static_cast<std::int32_t>(found - column.tags.begin()) : -1);
  }
  return out;
}

std::vector<std::string> data_tags(const TagColumn& column, std::span<const std::int32_t> ids) {
  std::vector<std::string> tags;
  for (const std::int32_t id : ids) tags.push_back(column.tags[id]);
  if (column.scheme == column.data_scheme) return tags;
  return spell_spans(conlleval_spans(tags), tags.size(), column.data_scheme);
}

TagDecoder::TagDecoder(const TagColumn& column, Chain chain)
    : column_(column), chain_(std::move(chain)), allowed_(allowed_transitions(column)) {
  shown_ = shown_tags(column, &place_).size();
}

void TagDecoder::keep_breaks(std::span<const std::uint8_t> breaks, ChainScores& scores) const {
  for (Index t = 1; t < std::ssize(breaks); ++t)
    for (Index k = 0; k < allowed_.tags && breaks[t]; ++k) {
      if (!allowed_.begin[k]) scores.add(t, k, kNearlyNever);
      if (!allowed_.end[k]) scores.add(t - 1, k, kNearlyNever);
    }
}

PredictedTags TagDecoder::decode(const ChainScores& scores, const TagRequest& request,
                                 std::span<const std::int32_t> gold) const {
  const Index T = scores.length(), K = chain_.tags();
  const TagPath path = chain_.best(scores);
  PredictedTags out;
  out.tags = data_tags(column_, path.tags);
  if (request.tags_alone) return out;
  ChainSums sums;
  chain_.sum(scores, sums);
  if (std::ranges::any_of(gold, [](std::int32_t tag) { return tag < 0; }))
    out.gold_log_probability = -INFINITY;
  else if (!gold.empty())
    out.gold_log_probability = chain_.score(scores, gold) - sums.log_sum;
  std::vector<double> marginal(K), sum(shown_);
  for (Index t = 0; t < T; ++t) {
    chain_.marginals(sums, t, marginal.data());
    std::fill(sum.begin(), sum.end(), 0.0);
    for (Index j = 0; j < K; ++j) sum[place_[j]] += marginal[j];
    out.probabilities.push_back(sum[place_[path.tags[t]]]);
    if (request.marginals) out.marginals.insert(out.marginals.end(), sum.begin(), sum.end());
  }
  if (column_.scheme != TagScheme::kNone) {
    std::vector<std::string> tags;
    for (const std::int32_t id : path.tags) tags.push_back(column_.tags[id]);
    for (const TagSpan& span : conlleval_spans(tags)) {
      // In bio a span continues if I of its type follows, which its probability must exclude.
      const std::string inner = column_.scheme == TagScheme::kBio ? letter_tag('I', span.type) : "";
      const auto barred = std::find(column_.tags.begin(), column_.tags.end(), inner);
      const std::span<const std::int32_t> ids(path.tags.data() + span.begin, span.end - span.begin);
      out.spans.push_back(
          {std::string(span.type), span.begin, span.end,
           chain_.probability(
               scores, sums, static_cast<Index>(span.begin), ids,
               barred == column_.tags.end() ? -1 : static_cast<std::int32_t>(barred - column_.tags.begin()))});
    }
  }
  if (request.best > 0)
    for (const TagPath& one : chain_.best(scores, request.best))
      if (one.score - sums.log_sum > kNearlyNever / 2)
        out.best.push_back({data_tags(column_, one.tags), std::exp(one.score - sums.log_sum)});
  return out;
}

}  // namespace mnemo
