// Spans are counted as conlleval does. The main metric is kept as two numbers per sentence, whose sums it is the
// quotient of, since the bootstrap resamples sentences; calibration compares the probabilities of predicted spans with
// how often they are right.
#include "tasks/tag/report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "measure/linear_crf.h"
#include "report/comparison.h"
#include "report/learning_curves.h"
#include "tasks/label_list.h"

namespace mnemo {
namespace {

constexpr std::size_t kWorstSentences = 50;

// Collects probabilities of predictions, and whether these are right.
class Calibrator {
 public:
  Calibrator() : bins_(static_cast<std::size_t>(calibration_bin(1.0)) + 1) {}

  void add(double probability, bool right) {
    CalibrationBin& bin = bins_[calibration_bin(probability)];
    ++bin.count;
    bin.confidence += probability;
    bin.accuracy += right ? 1.0 : 0.0;
  }

  SpanCalibration result() const {
    SpanCalibration out;
    out.bins = bins_;
    const auto bins = static_cast<double>(bins_.size());
    double error = 0;
    for (std::size_t i = 0; i < bins_.size(); ++i) {
      CalibrationBin& bin = out.bins[i];
      bin.lower = static_cast<double>(i) / bins;
      bin.upper = static_cast<double>(i + 1) / bins;
      out.spans += bin.count;
      out.mean_probability += bin.confidence;
      out.share_right += bin.accuracy;
      error += std::abs(bin.confidence - bin.accuracy);
      if (bin.count == 0) continue;
      bin.confidence /= static_cast<double>(bin.count);
      bin.accuracy /= static_cast<double>(bin.count);
    }
    if (out.spans == 0) return out;
    const auto n = static_cast<double>(out.spans);
    out.ece = error / n;
    out.mean_probability /= n;
    out.share_right /= n;
    return out;
  }

 private:
  std::vector<CalibrationBin> bins_;  // holds sums rather than means
};

// Whether a span is among others, which are sorted.
bool contains(const std::vector<TagSpan>& spans, const TagSpan& span) {
  const auto found =
      std::partition_point(spans.begin(), spans.end(), [&](const TagSpan& s) { return s.begin < span.begin; });
  return found != spans.end() && *found == span;
}

void add_calibration(Calibrator& calibrator, const TagColumn& column, const PredictedTags& predicted,
                     const std::vector<std::string>& gold) {
  if (column.data_scheme == TagScheme::kNone) {
    for (std::size_t t = 0; t < gold.size(); ++t)
      calibrator.add(predicted.probabilities[t], predicted.tags[t] == gold[t]);
    return;
  }
  const auto spans = conlleval_spans(gold);
  for (const auto& span : predicted.spans)
    calibrator.add(span.probability, contains(spans, {span.type, span.begin, span.end}));
}

// A metric as the quotient of two sums over sentences.
RecordRatio ratio_of(const std::string& metric, const std::vector<TaggedSentence>& sentences) {
  RecordRatio out;
  for (const TaggedSentence& s : sentences) {
    if (metric == "token_accuracy") {
      out.wholes.push_back(static_cast<double>(s.gold.size()));
      double right = 0;
      for (std::size_t t = 0; t < s.gold.size(); ++t) right += s.gold[t] == s.predicted[t] ? 1.0 : 0.0;
      out.parts.push_back(right);
      continue;
    }
    const SpanCounts counts = count_spans(s);
    const auto correct = static_cast<double>(counts.correct), gold = static_cast<double>(counts.gold),
               predicted = static_cast<double>(counts.predicted);
    out.parts.push_back(metric == "f1" ? 2.0 * correct : correct);
    out.wholes.push_back(metric == "f1" ? gold + predicted : metric == "recall" ? gold : predicted);
  }
  return out;
}

std::string checked_metric(const std::string& metric, TagScheme scheme) {
  const bool spans = scheme != TagScheme::kNone;
  if (metric.empty()) return spans ? "f1" : "token_accuracy";
  const bool of_spans = metric == "f1" || metric == "precision" || metric == "recall";
  if (!of_spans && metric != "token_accuracy")
    throw UsageError(
        fmt::format("--metric {}: a tagger has f1, precision, recall and token_accuracy to compare", shown(metric)));
  if (of_spans && !spans) throw UsageError(fmt::format("--metric {}: the first column's tags spell no spans", metric));
  return metric;
}

// The parts of a sentence's text that its tags mark: spans or, where tags spell none, the tokens that are wrong.
std::vector<TextMark> marks_of(const std::vector<std::string>& tags, const std::vector<std::string>& others,
                               TagScheme scheme, const PlacedText& placed) {
  std::vector<TextMark> out;
  if (scheme == TagScheme::kNone) {
    for (std::size_t t = 0; t < tags.size(); ++t)
      if (tags[t] != others[t]) out.push_back({placed.places[t].first, placed.places[t].second, tags[t], false});
    return out;
  }
  const auto other_spans = conlleval_spans(others);
  for (const TagSpan& span : conlleval_spans(tags))
    out.push_back({placed.places[span.begin].first, placed.places[span.end - 1].second, std::string(span.type),
                   contains(other_spans, span)});
  return out;
}

std::vector<Mistake> worst_sentences(const TaggedSentences& sentences, const TagColumn& column, bool characters,
                                     const std::vector<std::vector<PredictedTags>>& predicted) {
  std::vector<std::pair<double, std::size_t>> wrong;
  for (std::size_t i = 0; i < predicted.size(); ++i)
    if (predicted[i][0].tags != sentences.entry(static_cast<std::int64_t>(i)).tags[0])
      wrong.emplace_back(predicted[i][0].gold_log_probability, i);
  std::sort(wrong.begin(), wrong.end());
  std::vector<Mistake> out;
  for (const auto& [log_probability, i] : wrong) {
    const auto entry = sentences.entry(static_cast<std::int64_t>(i));
    const PlacedText placed = join_tokens(entry.tokens, characters ? "" : " ");
    Mistake mistake{static_cast<std::int64_t>(entry.lines.front()), "", "", std::exp(log_probability), placed.text};
    mistake.gold_marks = marks_of(entry.tags[0], predicted[i][0].tags, column.data_scheme, placed);
    mistake.predicted_marks = marks_of(predicted[i][0].tags, entry.tags[0], column.data_scheme, placed);
    const auto right = [](const std::vector<TextMark>& marks) { return std::ranges::all_of(marks, &TextMark::right); };
    // Tags that spell the same spans differently are not a mistake.
    if (!right(mistake.gold_marks) || !right(mistake.predicted_marks)) out.push_back(std::move(mistake));
    if (out.size() == kWorstSentences) break;
  }
  return out;
}

// The predictions for all sentences, by blocks: models together hold the scores of a block.
std::vector<std::vector<PredictedTags>> predict(const AveragedTaggers& models, const TaggedSentences& sentences,
                                                Workspace& workspace) {
  constexpr std::size_t kBlockTokens = 1 << 16;
  std::vector<std::vector<PredictedTags>> out;
  for (std::int64_t first = 0, end = 0; first < sentences.size(); first = end) {
    for (std::size_t tokens = 0; end < sentences.size() && tokens < kBlockTokens; ++end)
      tokens += sentences.entry(end).tokens.size();
    std::vector<TaggerCorpus> corpora;
    for (const TextTagger* one : models.models()) corpora.push_back(encode_sentences(*one, sentences, first, end));
    std::ranges::move(models.predict(corpora, {}, workspace), std::back_inserter(out));
  }
  return out;
}

// The most frequent tag of each word, the first by name among equals; under "" that of all words.
std::unordered_map<std::string, std::string> frequent_tags(const TaggedSentences& train, std::size_t column) {
  std::unordered_map<std::string, std::map<std::string, std::int64_t>> counts;
  for (const auto& entry : train.entries())
    for (std::size_t t = 0; t < entry.tokens.size(); ++t) {
      ++counts[entry.tokens[t]][entry.tags[column][t]];
      ++counts[""][entry.tags[column][t]];
    }
  std::unordered_map<std::string, std::string> out;
  for (const auto& [word, tags] : counts)
    out[word] = std::max_element(tags.begin(), tags.end(), [](auto& a, auto& b) { return a.second < b.second; })->first;
  return out;
}

// Tags of one column, predicted by a linear CRF that is fitted to train.
std::vector<std::vector<std::string>> linear_crf_tags(const TagColumn& column, std::size_t k,
                                                      const TaggedSentences& train, const TaggedSentences& sentences) {
  std::vector<LinearCrf::Sentence> fitted;
  for (const auto& entry : train.entries())
    fitted.push_back({crf_features(entry.tokens), tag_ids(column, entry.tags[k])});
  const LinearCrf crf(fitted, allowed_transitions(column), {});
  std::vector<std::vector<std::string>> out;
  for (const auto& entry : sentences.entries())
    out.push_back(data_tags(column, crf.predict(crf_features(entry.tokens))));
  return out;
}

Json counts_json(const SpanCounts& c) {
  return {{"precision", c.precision()}, {"recall", c.recall()}, {"f1", c.f1()}, {"gold", c.gold},
          {"predicted", c.predicted},   {"correct", c.correct}};
}

}  // namespace

TaggerReport::TaggerReport(const AveragedTaggers& models, const TaggedSentences& sentences, const std::string& metric,
                           const TaggedSentences* train, ThreadPool& pool)
    : columns_(models.models().front()->columns()), main_metric_(checked_metric(metric, columns_.front().data_scheme)) {
  check_schemes(sentences, columns_);
  if (train) check_schemes(*train, columns_);
  if (const UnseenTags unseen = train ? unseen_tags(*train, columns_) : UnseenTags(); unseen.count > 0)
    fail("train: the model does not know the tag {}: it was trained on other data", unseen.first);
  Workspace workspace(pool);
  const auto predicted = predict(models, sentences, workspace);
  for (std::size_t k = 0; k < columns_.size(); ++k) measure_column(k, sentences, train, predicted);
  if (std::accumulate(main_.wholes.begin(), main_.wholes.end(), 0.0) > 0) interval_ = bootstrap_ratio(main_);
  if (!metric.empty() && !interval_) fail("--metric {}: not defined on this data", metric);
  mistakes_ =
      worst_sentences(sentences, columns_.front(), models.models().front()->config().text.has_characters(), predicted);
}

void TaggerReport::measure_column(std::size_t k, const TaggedSentences& sentences, const TaggedSentences* train,
                                  const std::vector<std::vector<PredictedTags>>& predicted) {
  std::unordered_set<std::string> known;
  if (train)
    for (const auto& entry : train->entries()) known.insert(entry.tokens.begin(), entry.tokens.end());
  std::vector<TaggedSentence> beside;
  Calibrator calibrator;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const auto entry = sentences.entry(static_cast<std::int64_t>(i));
    beside.push_back({entry.tags[k], predicted[i][k].tags, {}});
    for (std::size_t t = 0; train && t < entry.tokens.size(); ++t)
      beside.back().unknown.push_back(known.count(entry.tokens[t]) == 0 ? 1 : 0);
    add_calibration(calibrator, columns_[k], predicted[i][k], entry.tags[k]);
  }
  evaluations_.push_back(evaluate_tags(beside, columns_[k].data_scheme));
  if (train) add_baselines(k, *train, sentences, beside);
  calibrations_.push_back(calibrator.result());
  if (k == 0) main_ = ratio_of(main_metric_, beside);
}

void TaggerReport::add_baselines(std::size_t column, const TaggedSentences& train, const TaggedSentences& sentences,
                                 std::vector<TaggedSentence> beside) {
  if (column == 0) baselines_ = {{"each word's commonest tag", {}}, {"linear CRF, features by hand", {}}};
  const auto frequent = frequent_tags(train, column);
  for (std::size_t i = 0; i < beside.size(); ++i) {
    const auto entry = sentences.entry(static_cast<std::int64_t>(i));
    for (std::size_t t = 0; t < beside[i].gold.size(); ++t) {
      const auto found = frequent.find(entry.tokens[t]);
      beside[i].predicted[t] = found == frequent.end() ? frequent.at("") : found->second;
    }
  }
  const TagScheme scheme = columns_[column].data_scheme;
  baselines_[0].evaluations.push_back(evaluate_tags(beside, scheme));
  const auto tags = linear_crf_tags(columns_[column], column, train, sentences);
  for (std::size_t i = 0; i < beside.size(); ++i) beside[i].predicted = tags[i];
  baselines_[1].evaluations.push_back(evaluate_tags(beside, scheme));
}

void TaggerReport::compare(const Report& other) {
  const auto& theirs = static_cast<const TaggerReport&>(other);
  if (main_metric_ != theirs.main_metric_)
    fail("{} is measured by {}, {} by {}", model_name, main_metric_, other.model_name, theirs.main_metric_);
  other_model_ = other.model_name;
  comparison_ = compare_ratios(main_, theirs.main_, main_metric_);
}

Metrics TaggerReport::metrics() const {
  Metrics out = join_metrics(columns_, evaluations_);
  for (std::size_t k = 0; k < columns_.size(); ++k) {
    const double ece = calibrations_[k].ece;
    if (k == 0) out["ece"] = ece;
    if (columns_.size() > 1) out[columns_[k].name + ".ece"] = ece;
  }
  return out;
}

std::optional<double> TaggerReport::metric(const std::string& name) const {
  const auto found = Report::metric(name);
  const std::size_t dot = name.rfind('.') + 1;  // 0 without a column's name
  if (found || name.substr(dot) != "strict_f1") return found;
  return Report::metric(name.substr(0, dot) + "f1");
}

std::string TaggerReport::summary() const {
  std::string out;
  for (std::size_t k = 0; k < columns_.size(); ++k) {
    out += (k > 0 ? "\n" : "") + columns_[k].name + ":";
    for (const auto& [name, value] : evaluations_[k].metrics()) out += fmt::format(" {} {:.4f}", name, value);
  }
  return out;
}

void check_tag_metric(const std::string& name, const std::vector<TagColumn>& columns) {
  static const std::vector<std::string> known{"precision",      "recall",           "f1", "strict_f1",
                                              "token_accuracy", "unknown_accuracy", "ece"};
  std::string own = name;
  for (const TagColumn& column : columns)
    if (columns.size() > 1 && name.starts_with(column.name + ".")) own = name.substr(column.name.size() + 1);
  if (std::find(known.begin(), known.end(), own) == known.end())
    throw UsageError(fmt::format("metric {}: a tagger has {}{}", shown(name), fmt::join(known, ", "),
                                 columns.size() > 1 ? ", for one column with its name and a dot before" : ""));
}

Json TaggerReport::json() const {
  Json out{{"model", model_name},
           {"data", data_name},
           {"records", evaluations_.front().sentences},
           {"tokens", evaluations_.front().tokens},
           {"metrics", Json(metrics())}};
  if (interval_) out["interval"] = interval_json(*interval_, main_metric_);
  if (comparison_) out["comparison"] = comparison_json(*comparison_, other_model_);
  for (const auto& baseline : baselines_)
    out["baselines"].push_back(
        {{"name", baseline.name}, {"metrics", Json(join_metrics(columns_, baseline.evaluations))}});
  for (std::size_t k = 0; k < columns_.size(); ++k) {
    const TagEvaluation& e = evaluations_[k];
    const SpanCalibration& c = calibrations_[k];
    Json part{{"name", columns_[k].name}, {"scheme", name_of(columns_[k].data_scheme)}};
    part["per_class"] = Json::array();
    for (const auto& [type, counts] : e.per_type) {
      Json row{{"label", type}};
      row.update(counts_json(counts));
      part["per_class"].push_back(row);
    }
    part["confusion"] = Json::array();
    for (const auto& [pair, count] : e.confusion)
      part["confusion"].push_back({{"gold", pair.first}, {"predicted", pair.second}, {"count", count}});
    part["calibration"] = {
        {"spans", c.spans}, {"ece", c.ece}, {"mean_probability", c.mean_probability}, {"share_right", c.share_right}};
    if (k == 0) out["per_class"] = part["per_class"];
    out["columns"].push_back(part);
  }
  return out;
}

std::string TaggerReport::text() const {
  std::string out = fmt::format("{} on {}, {} sentences, {} tokens\n", escaped(model_name), escaped(data_name),
                                evaluations_.front().sentences, evaluations_.front().tokens);
  if (interval_)
    out += fmt::format("\n{} {:.4f}, 95% interval {:.4f} to {:.4f}\n", main_metric_, interval_->value, interval_->low,
                       interval_->high);
  else
    out += fmt::format("\n{}: not defined, as the data have no span and none was predicted\n", main_metric_);
  if (comparison_) out += comparison_text(*comparison_, other_model_);
  for (std::size_t k = 0; k < columns_.size(); ++k) {
    const TagEvaluation& e = evaluations_[k];
    out += fmt::format("\ncolumn {}: token accuracy {:.4f}", shown(columns_[k].name), e.token_accuracy());
    if (const auto unknown = e.unknown_accuracy())
      out += fmt::format(", of {} tokens that train lacks {:.4f}", e.unknown_tokens, *unknown);
    for (const auto& baseline : baselines_)
      out += fmt::format("\n{}: {:.4f}", baseline.name, baseline.evaluations[k].token_accuracy());
    out +=
        fmt::format("\n\n{:<30}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "precision", "recall", "F1", "gold", "predicted");
    const auto row = [&](const std::string& name, const SpanCounts& c) {
      out += fmt::format("{:<30}{:>10.4f}{:>10.4f}{:>10.4f}{:>10}{:>10}\n", name, c.precision(), c.recall(), c.f1(),
                         c.gold, c.predicted);
    };
    if (e.scheme != TagScheme::kNone) row("all", e.spans);
    if (e.strict) row("all, strictly spelled", *e.strict);
    for (const auto& baseline : baselines_)
      if (e.scheme != TagScheme::kNone) row(baseline.name, baseline.evaluations[k].spans);
    for (const auto& [type, counts] : e.per_type)
      if (!type.empty()) row(shown_label(type), counts);
    const SpanCalibration& c = calibrations_[k];
    if (c.spans > 0)
      out +=
          fmt::format("\n{} predicted {}: mean probability {:.4f}, right {:.4f}, calibration error {:.4f}\n", c.spans,
                      e.scheme == TagScheme::kNone ? "tags" : "spans", c.mean_probability, c.share_right, c.ece);
    std::vector<std::pair<std::int64_t, std::pair<std::string, std::string>>> confused;
    for (const auto& [pair, count] : e.confusion)
      if (pair.first != pair.second) confused.emplace_back(-count, pair);
    std::sort(confused.begin(), confused.end());
    confused.resize(std::min<std::size_t>(confused.size(), 10));
    if (!confused.empty()) out += fmt::format("\n{:<24}{:<24}{:>10}\n", "gold", "predicted", "count");
    for (const auto& [count, pair] : confused)
      out += fmt::format("{:<24}{:<24}{:>10}\n", pair.first.empty() ? "-" : shown_label(pair.first),
                         pair.second.empty() ? "-" : shown_label(pair.second), -count);
  }
  return out;
}

std::string TaggerReport::page(const std::string& log_file) const {
  const TagEvaluation& first = evaluations_.front();
  ReportData page;
  page.tagger = true;
  page.title = data_name;
  std::vector<std::string> columns;
  for (const TagColumn& c : columns_)
    columns.push_back(fmt::format("{} ({} tags, scheme {})", c.name, c.tags.size(), name_of(c.data_scheme)));
  page.facts = {{"model", model_name},
                {"data", data_name},
                {"columns", fmt::format("{}", fmt::join(columns, ", "))},
                {"tokens", std::to_string(first.tokens)}};
  page.main_metric = main_metric_;
  page.interval = interval_;
  page.scores.records = first.sentences;
  page.scores.metrics = metrics();
  for (const auto& [name, value] : page.scores.metrics) page.scores.listed.push_back(name);
  page.scores.bins = calibrations_.front().bins;
  for (const auto& [type, c] : first.per_type)
    page.scores.per_class.push_back({type, c.precision(), c.recall(), c.f1(), c.gold, c.predicted});
  std::map<std::string, std::int32_t> places;
  for (const auto& [pair, count] : first.confusion) places.insert({{pair.first, 0}, {pair.second, 0}});
  for (auto& [label, place] : places) {
    place = static_cast<std::int32_t>(page.labels.size());
    page.labels.push_back(label.empty() ? "no span" : label);
  }
  for (const auto& [pair, count] : first.confusion)
    page.scores.confusion[{places[pair.first], places[pair.second]}] = count;
  for (const auto& baseline : baselines_)
    page.baselines.push_back({baseline.name, join_metrics(columns_, baseline.evaluations)});
  page.comparison = comparison_;
  page.comparison_name = other_model_;
  page.mistakes = mistakes_;
  page.learning_curves = learning_curves(log_file, main_metric_);
  return html_report(page);
}

}  // namespace mnemo
