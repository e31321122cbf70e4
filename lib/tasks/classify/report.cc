#include "tasks/classify/report.h"
#include "pipeline/network_options.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "train/log_file.h"

namespace mnemo {
namespace {

constexpr std::size_t kWorstMistakes = 50;

// The n-grams of each text's units.
std::vector<Features> features_of(const TextClassifier& model, const LabelledTexts& texts, int max_n) {
  const Tokenizer tokenizer(tokenizer_options(model.config().text));
  std::vector<Features> out;
  Tokens tokens;
  std::vector<std::string_view> units;
  for (const auto& entry : texts.entries) {
    tokenizer.tokenize(entry.text, tokens);
    units.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) units.push_back(tokens.text(i));
    out.push_back(ngram_features(units, max_n));
  }
  return out;
}

bool characters(const TextClassifier& model) {
  return model.config().text.unit == "char" || model.config().text.unit == "grapheme";
}

Json interval_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

Json metrics_json(const Evaluation& evaluation) {
  Json out = Json::object();
  for (const auto& [name, value] : evaluation.metrics()) out[name] = value;
  return out;
}

std::string joined_labels(const std::vector<std::int32_t>& ids, const std::vector<std::string>& labels) {
  std::string out;
  for (std::int32_t id : ids) out += (out.empty() ? "" : ", ") + labels[id];
  return out.empty() ? "-" : out;
}

std::vector<Mistake> worst_mistakes(const ModelReport& report, const std::vector<std::string>& labels,
                                    const LabelledTexts& texts) {
  const Predictions& p = report.predictions;
  std::vector<std::pair<double, std::size_t>> wrong;
  for (std::size_t i = 0; i < p.records(); ++i)
    if (predicted_labels(p, i) != p.gold[i]) wrong.emplace_back(-record_log_loss(p, i), i);
  std::sort(wrong.begin(), wrong.end());
  wrong.resize(std::min(wrong.size(), kWorstMistakes));
  std::vector<Mistake> out;
  for (const auto& [loss, i] : wrong) {
    const auto said = predicted_labels(p, i);
    const float* row = p.row(i);
    const double probability =
        static_cast<double>(said.empty() ? *std::max_element(row, row + p.classes) : row[said.front()]);
    out.push_back({static_cast<std::int64_t>(texts.entries[i].line), joined_labels(p.gold[i], labels),
                   joined_labels(said, labels), probability, texts.entries[i].text});
  }
  return out;
}

}  // namespace

std::vector<CurveChart> learning_curves(const std::string& log_file, const std::string& metric) {
  CurveChart loss{"Loss", {{"train", {}}, {"dev", {}}}}, value{metric + " on dev", {{metric, {}}}};
  for (const Json& line : read_log(log_file)) {
    if (!line.contains("loss") || !line["loss"].is_number()) continue;
    const double step = line.value("step", 0.0), l = line["loss"].get<double>();
    const bool eval = line.value("kind", "") == "eval";
    loss.curves[eval ? 1 : 0].points.emplace_back(step, l);
    if (eval && line.contains("metrics") && line["metrics"].contains(metric) && line["metrics"][metric].is_number())
      value.curves[0].points.emplace_back(step, line["metrics"][metric].get<double>());
  }
  std::vector<CurveChart> out;
  if (!loss.curves[0].points.empty()) out.push_back(loss);
  if (!value.curves[0].points.empty()) out.push_back(value);
  return out;
}

ModelReport report_model(TextClassifier& model, const LabelledTexts& texts, const std::string& main_metric,
                         ThreadPool& pool) {
  ModelReport out;
  const std::string chosen = classification_metric(model.config());
  out.main_metric = !main_metric.empty() ? main_metric : chosen == "loss" ? "log_loss" : chosen;
  out.predictions = predict(model, texts, label_ids(texts, model.labels()), pool);
  out.evaluation = evaluate(out.predictions, model.labels());
  if (out.evaluation.metrics().contains(out.main_metric))
    out.interval = bootstrap_interval(out.predictions, out.main_metric);
  return out;
}

void add_baselines(ModelReport& report, const TextClassifier& model, const LabelledTexts& texts,
                   const LabelledTexts& train) {
  const int classes = static_cast<int>(model.labels().size());
  const auto gold = label_ids(train, model.labels());
  Predictions p{classes, model.multi_label(), {}, report.predictions.gold};
  p.probabilities = majority_baseline(gold, classes, p.multi_label, texts.entries.size());
  report.baselines.push_back({"majority class", evaluate(p, model.labels())});
  const NgramBaselineOptions options = characters(model) ? character_baseline_options() : word_baseline_options();
  p.probabilities = NgramBaseline(features_of(model, train, options.max_n), gold, classes, p.multi_label, options)
                        .predict(features_of(model, texts, options.max_n));
  report.baselines.push_back(
      {characters(model) ? "character n-grams + logistic regression" : "word n-grams + logistic regression",
       evaluate(p, model.labels())});
}

void add_comparison(ModelReport& report, const TextClassifier& model, TextClassifier& other, const std::string& name,
                    const LabelledTexts& texts, ThreadPool& pool) {
  if (other.labels() != model.labels()) fail("{}: its labels are not those of {}", name, report.model);
  const Predictions p = predict(other, texts, report.predictions.gold, pool);
  report.comparison = compare_models(report.predictions, p, report.main_metric);
  report.other_model = name;
}

Json comparison_json(const Comparison& comparison, const std::string& other_model) {
  const Comparison& c = comparison;
  return {{"model", other_model},
          {"metric", c.metric},
          {"first", c.first},
          {"second", c.second},
          {"difference", interval_json(c.difference)},
          {"p_value", c.p_value},
          {"test", c.test}};
}

std::string comparison_text(const Comparison& comparison, const std::string& other_model) {
  const Comparison& c = comparison;
  return fmt::format("\nagainst {}: {} {:.4f} - {:.4f} = {:+.4f} ({:+.4f} to {:+.4f}), {}: p = {:.4g}\n", other_model,
                     c.metric, c.first, c.second, c.difference.value, c.difference.low, c.difference.high, c.test,
                     c.p_value);
}

Json report_json(const ModelReport& report) {
  Json out{{"model", report.model},
           {"data", report.data},
           {"records", report.evaluation.records},
           {"metrics", metrics_json(report.evaluation)}};
  if (report.interval) {
    out["interval"] = interval_json(*report.interval);
    out["interval"]["metric"] = report.main_metric;
    out["interval"]["level"] = 0.95;
  }
  if (!report.baselines.empty()) {
    out["baselines"] = Json::array();
    for (const auto& b : report.baselines)
      out["baselines"].push_back({{"name", b.name}, {"metrics", metrics_json(b.evaluation)}});
  }
  if (report.comparison) {
    out["comparison"] = comparison_json(*report.comparison, report.other_model);
  }
  out["per_class"] = Json::array();
  for (const ClassScores& s : report.evaluation.per_class)
    out["per_class"].push_back({{"label", s.label},
                                {"precision", s.precision},
                                {"recall", s.recall},
                                {"f1", s.f1},
                                {"support", s.support},
                                {"predicted", s.predicted}});
  out["confusion"] = Json::array();
  for (const auto& [pair, count] : report.evaluation.confusion)
    out["confusion"].push_back({{"gold", report.evaluation.per_class[pair.first].label},
                                {"predicted", report.evaluation.per_class[pair.second].label},
                                {"count", count}});
  return out;
}

std::string report_text(const ModelReport& report, const std::vector<std::string>& labels) {
  const Evaluation& e = report.evaluation;
  std::string out = fmt::format("{} on {}, {} records\n\n", report.model, report.data, e.records);
  if (report.interval)
    out += fmt::format("{} {:.4f}, 95% interval {:.4f} to {:.4f}\n\n", report.main_metric, report.interval->value,
                       report.interval->low, report.interval->high);
  out += fmt::format("{:<42}{:>9}{:>9}{:>9}{:>9}\n", "", "accuracy", "macro F1", "log loss", "ece");
  const auto row = [&](const std::string& name, const Evaluation& v) {
    out += fmt::format("{:<42}{:>9.4f}{:>9.4f}{:>9.4f}{:>9.4f}\n", name, v.accuracy, v.macro_f1, v.log_loss, v.ece);
  };
  row("model", e);
  for (const auto& b : report.baselines) row(b.name, b.evaluation);
  if (e.auc) out += fmt::format("\nROC AUC {:.4f}\n", *e.auc);
  out += fmt::format(
      "\n{:<24}{:>10}{:>10}{:>10}\n{:<24}{:>10.4f}{:>10.4f}{:>10.4f}\n{:<24}{:>10.4f}{:>10.4f}{:>10.4f}\n"
      "{:<24}{:>10.4f}{:>10.4f}{:>10.4f}\n",
      "average", "precision", "recall", "F1", "micro", e.micro_precision, e.micro_recall, e.micro_f1, "macro",
      e.macro_precision, e.macro_recall, e.macro_f1, "weighted", e.weighted_precision, e.weighted_recall,
      e.weighted_f1);
  out += fmt::format("\n{:<24}{:>10}{:>10}{:>10}{:>10}\n", "label", "precision", "recall", "F1", "records");
  for (const ClassScores& s : e.per_class)
    out += fmt::format("{:<24}{:>10.4f}{:>10.4f}{:>10.4f}{:>10}\n", s.label, s.precision, s.recall, s.f1, s.support);
  if (!e.confusion.empty() && labels.size() <= 12) {
    std::size_t width = 10;
    for (const std::string& label : labels) width = std::max(width, label.size() + 2);
    out += fmt::format("\n{:<24}", "gold \\ predicted");
    for (const std::string& label : labels) out += fmt::format("{:>{}}", label, width);
    for (std::size_t g = 0; g < labels.size(); ++g) {
      out += fmt::format("\n{:<24}", labels[g]);
      for (std::size_t k = 0; k < labels.size(); ++k) {
        const auto cell = e.confusion.find({static_cast<std::int32_t>(g), static_cast<std::int32_t>(k)});
        out += fmt::format("{:>{}}", cell == e.confusion.end() ? 0 : cell->second, width);
      }
    }
    out += "\n";
  }
  if (report.comparison) out += comparison_text(*report.comparison, report.other_model);
  return out;
}

std::string report_html(const ModelReport& report, const TextClassifier& model, const LabelledTexts& texts,
                        const std::string& log_file) {
  ReportData data;
  data.title = report.data;
  data.facts = {{"model", report.model},
                {"data", report.data},
                {"records", std::to_string(report.evaluation.records)},
                {"calibration temperature", fmt::format("{:.4f}", model.temperature)}};
  data.labels = model.labels();
  data.main_metric = report.main_metric;
  data.interval = report.interval;
  data.scores = report_scores(report.evaluation, model.multi_label());
  for (const auto& b : report.baselines) data.baselines.push_back({b.name, b.evaluation.metrics()});
  data.comparison = report.comparison;
  data.comparison_name = report.other_model;
  data.multi_label = model.multi_label();
  data.mistakes = worst_mistakes(report, model.labels(), texts);
  data.learning_curves = learning_curves(log_file, classification_metric(model.config()));
  return html_report(data);
}

}  // namespace mnemo
