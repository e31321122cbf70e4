#include "train/tag_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "train/evaluation.h"

namespace mnemo {
namespace {

constexpr std::size_t kBins = 15;
constexpr const char* kBaseline = "each word's commonest tag";

// Probabilities beside whether what they are of is right.
class Calibrator {
 public:
  void add(double probability, bool right) {
    Bin& bin = bins_[std::min<std::size_t>(kBins - 1, static_cast<std::size_t>(probability * kBins))];
    ++bin.count;
    bin.probability += probability;
    bin.right += right ? 1 : 0;
  }

  SpanCalibration result() const {
    SpanCalibration out;
    double error = 0;
    for (const Bin& bin : bins_) {
      out.spans += bin.count;
      out.mean_probability += bin.probability;
      out.share_right += static_cast<double>(bin.right);
      error += std::abs(bin.probability - static_cast<double>(bin.right));
    }
    if (out.spans == 0) return out;
    const auto n = static_cast<double>(out.spans);
    out.ece = error / n;
    out.mean_probability /= n;
    out.share_right /= n;
    return out;
  }

 private:
  struct Bin {
    std::int64_t count = 0, right = 0;
    double probability = 0;
  };
  Bin bins_[kBins];
};

void add_calibration(Calibrator& calibrator, const TagColumn& column, const PredictedTags& predicted,
                     const std::vector<std::string>& gold) {
  if (column.data_scheme == TagScheme::kNone) {
    for (std::size_t t = 0; t < gold.size(); ++t)
      calibrator.add(predicted.probabilities[t], predicted.tags[t] == gold[t]);
    return;
  }
  const auto spans = conlleval_spans(gold);
  for (const auto& span : predicted.spans)
    calibrator.add(span.probability, std::any_of(spans.begin(), spans.end(), [&](const TagSpan& s) {
                     return s.begin == span.begin && s.end == span.end && s.type == span.type;
                   }));
}

RecordRatio main_ratio(const std::vector<TaggedSentence>& sentences, TagScheme scheme) {
  RecordRatio out;
  for (const TaggedSentence& s : sentences) {
    if (scheme == TagScheme::kNone) {
      out.wholes.push_back(static_cast<double>(s.gold.size()));
      double right = 0;
      for (std::size_t t = 0; t < s.gold.size(); ++t) right += s.gold[t] == s.predicted[t] ? 1.0 : 0.0;
      out.parts.push_back(right);
      continue;
    }
    const SpanCounts counts = count_spans(s);
    out.parts.push_back(2.0 * static_cast<double>(counts.correct));
    out.wholes.push_back(static_cast<double>(counts.gold + counts.predicted));
  }
  return out;
}

// The tag that each word has most often, the first by name of equals; under "" that of all words.
std::unordered_map<std::string, std::string> frequent_tags(const TaggedSentences& train, std::size_t column) {
  std::unordered_map<std::string, std::map<std::string, std::int64_t>> counts;
  for (const auto& entry : train.entries)
    for (std::size_t t = 0; t < entry.tokens.size(); ++t) {
      ++counts[entry.tokens[t]][entry.tags[column][t]];
      ++counts[""][entry.tags[column][t]];
    }
  std::unordered_map<std::string, std::string> out;
  for (const auto& [word, tags] : counts)
    out[word] = std::max_element(tags.begin(), tags.end(), [](auto& a, auto& b) { return a.second < b.second; })->first;
  return out;
}

Json counts_json(const SpanCounts& c) {
  return {{"precision", c.precision()}, {"recall", c.recall()}, {"f1", c.f1()}, {"gold", c.gold},
          {"predicted", c.predicted},   {"correct", c.correct}};
}

}  // namespace

TagReport report_tagger(TextTagger& model, const TaggedSentences& sentences, const TaggedSentences* train,
                        ThreadPool& pool) {
  check_tags(sentences, model.columns());
  std::unordered_set<std::string> known;
  for (std::size_t i = 0; train && i < train->entries.size(); ++i)
    known.insert(train->entries[i].tokens.begin(), train->entries[i].tokens.end());
  Arena arena;
  TaggerCorpus corpus;
  for (const auto& entry : sentences.entries) model.encode(entry.tokens, corpus);
  const auto predicted = model.predict(corpus, {}, pool, arena);
  TagReport out;
  out.columns = model.columns();
  for (std::size_t k = 0; k < out.columns.size(); ++k) {
    std::vector<TaggedSentence> beside;
    Calibrator calibrator;
    for (std::size_t i = 0; i < sentences.entries.size(); ++i) {
      const auto& entry = sentences.entries[i];
      beside.push_back({entry.tags[k], predicted[i][k].tags, {}});
      for (std::size_t t = 0; train && t < entry.tokens.size(); ++t)
        beside.back().unknown.push_back(known.count(entry.tokens[t]) == 0 ? 1 : 0);
      add_calibration(calibrator, out.columns[k], predicted[i][k], entry.tags[k]);
    }
    out.evaluations.push_back(evaluate_tags(beside, out.columns[k].data_scheme));
    if (train) {
      const auto frequent = frequent_tags(*train, k);
      auto baseline = beside;
      for (std::size_t i = 0; i < baseline.size(); ++i)
        for (std::size_t t = 0; t < baseline[i].gold.size(); ++t) {
          const auto found = frequent.find(sentences.entries[i].tokens[t]);
          baseline[i].predicted[t] = found == frequent.end() ? frequent.at("") : found->second;
        }
      out.baselines.push_back(evaluate_tags(baseline, out.columns[k].data_scheme));
    }
    out.calibrations.push_back(calibrator.result());
    if (k == 0) out.main = main_ratio(beside, out.columns[k].data_scheme);
  }
  out.interval = bootstrap_ratio(out.main);
  out.main_metric = out.columns.front().data_scheme == TagScheme::kNone ? "token_accuracy" : "f1";
  return out;
}

void add_comparison(TagReport& report, const TagReport& other) {
  if (report.main_metric != other.main_metric)
    fail("{} is measured by {}, {} by {}", report.model, report.main_metric, other.model, other.main_metric);
  report.other_model = other.model;
  report.comparison = compare_ratios(report.main, other.main, report.main_metric);
}

Json report_json(const TagReport& report) {
  Json out{{"model", report.model},
           {"data", report.data},
           {"records", report.evaluations.front().sentences},
           {"tokens", report.evaluations.front().tokens},
           {"metrics", Json(join_metrics(report.columns, report.evaluations))},
           {"interval",
            {{"metric", report.main_metric},
             {"value", report.interval.value},
             {"low", report.interval.low},
             {"high", report.interval.high},
             {"level", 0.95}}}};
  if (report.comparison) out["comparison"] = comparison_json(*report.comparison, report.other_model);
  if (!report.baselines.empty())
    out["baselines"].push_back(
        {{"name", kBaseline}, {"metrics", Json(join_metrics(report.columns, report.baselines))}});
  for (std::size_t k = 0; k < report.columns.size(); ++k) {
    const TagEvaluation& e = report.evaluations[k];
    const SpanCalibration& c = report.calibrations[k];
    Json part{{"name", report.columns[k].name}, {"scheme", name_of(report.columns[k].data_scheme)}};
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

std::string report_text(const TagReport& report) {
  std::string out = fmt::format("{} on {}, {} sentences, {} tokens\n", report.model, report.data,
                                report.evaluations.front().sentences, report.evaluations.front().tokens);
  out += fmt::format("\n{} {:.4f}, 95% interval {:.4f} to {:.4f}\n", report.main_metric, report.interval.value,
                     report.interval.low, report.interval.high);
  if (report.comparison) out += comparison_text(*report.comparison, report.other_model);
  for (std::size_t k = 0; k < report.columns.size(); ++k) {
    const TagEvaluation& e = report.evaluations[k];
    out += fmt::format("\ncolumn {}: token accuracy {:.4f}", report.columns[k].name, e.token_accuracy());
    if (const auto unknown = e.unknown_accuracy())
      out += fmt::format(", of {} tokens that train lacks {:.4f}", e.unknown_tokens, *unknown);
    if (!report.baselines.empty()) out += fmt::format("; {}: {:.4f}", kBaseline, report.baselines[k].token_accuracy());
    out +=
        fmt::format("\n\n{:<28}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "precision", "recall", "F1", "gold", "predicted");
    const auto row = [&](const std::string& name, const SpanCounts& c) {
      out += fmt::format("{:<28}{:>10.4f}{:>10.4f}{:>10.4f}{:>10}{:>10}\n", name, c.precision(), c.recall(), c.f1(),
                         c.gold, c.predicted);
    };
    if (e.scheme != TagScheme::kNone) row("all", e.spans);
    if (e.strict) row("all, strictly spelled", *e.strict);
    if (!report.baselines.empty() && e.scheme != TagScheme::kNone) row(kBaseline, report.baselines[k].spans);
    for (const auto& [type, counts] : e.per_type)
      if (!type.empty()) row(type, counts);
    const SpanCalibration& c = report.calibrations[k];
    out += fmt::format("\n{} predicted {}: mean probability {:.4f}, right {:.4f}, calibration error {:.4f}\n", c.spans,
                       e.scheme == TagScheme::kNone ? "tags" : "spans", c.mean_probability, c.share_right, c.ece);
    std::vector<std::pair<std::int64_t, std::pair<std::string, std::string>>> confused;
    for (const auto& [pair, count] : e.confusion)
      if (pair.first != pair.second) confused.emplace_back(-count, pair);
    std::sort(confused.begin(), confused.end());
    confused.resize(std::min<std::size_t>(confused.size(), 10));
    if (!confused.empty()) out += fmt::format("\n{:<24}{:<24}{:>10}\n", "gold", "predicted", "count");
    for (const auto& [count, pair] : confused)
      out += fmt::format("{:<24}{:<24}{:>10}\n", pair.first.empty() ? "-" : pair.first,
                         pair.second.empty() ? "-" : pair.second, -count);
  }
  return out;
}

}  // namespace mnemo
