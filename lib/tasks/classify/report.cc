// The baselines are fitted to train on the spot, and evaluated by the same functions as the model. Gold labels that the
// model does not know extend every row of probabilities by zeros, so that they count as missed.
#include "tasks/classify/report.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "measure/baseline.h"
#include "pipeline/network_options.h"
#include "report/comparison.h"
#include "report/html_report.h"
#include "report/learning_curves.h"
#include "tasks/label_list.h"

namespace mnemo {
namespace {

constexpr std::size_t kWorstMistakes = 50;
// Longer mistakes are shown without the weights of their units, which take a pass for each.
constexpr std::size_t kExplainedUnits = 200;

// The n-grams of each text's units.
std::vector<Features> features_of(const TextClassifier& model, const LabelledTexts& texts, int max_n) {
  const Tokenizer tokenizer = tokenizer_of(model.config().text, model.vocabulary());
  std::vector<Features> out;
  Tokens tokens;
  std::vector<std::string_view> units;
  for (const auto entry : texts.entries()) {
    tokenizer.tokenize(entry.text, tokens);
    units.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) units.push_back(tokens.text(i));
    out.push_back(ngram_features(units, max_n));
  }
  return out;
}

Json metrics_json(const Evaluation& evaluation) {
  Json out = Json::object();
  for (const auto& [name, value] : evaluation.metrics()) out[name] = value;
  return out;
}

std::string joined_labels(const std::vector<std::int32_t>& ids, const std::vector<std::string>& labels) {
  std::string out;
  if (ids.size() == 1) return labels[ids[0]];
  for (const std::int32_t id : ids) out += (out.empty() ? "" : ", ") + shown_label(labels[id]);
  return out.empty() ? "-" : out;
}

std::optional<ColouredText> explained(const TextClassifier& model, const std::string& text, const std::string& label,
                                      Workspace& workspace) {
  auto places = model.unit_places(text);
  if (places.empty() || places.size() > kExplainedUnits) return std::nullopt;
  return ColouredText{text, std::move(places), model.explained(text, label, workspace).weights};
}

std::vector<Mistake> worst_mistakes(const TextClassifier& model, const Predictions& p,
                                    const std::vector<std::string>& labels, const LabelledTexts& texts) {
  std::vector<std::pair<double, std::size_t>> wrong;
  for (std::size_t i = 0; i < p.records(); ++i)
    if (predicted_labels(p, i) != p.gold[i]) wrong.emplace_back(-record_log_loss(p, i), i);
  std::sort(wrong.begin(), wrong.end());
  wrong.resize(std::min(wrong.size(), kWorstMistakes));
  std::vector<Mistake> out;
  ThreadPool pool(1);
  Workspace workspace(pool);
  for (const auto& [loss, i] : wrong) {
    const auto entry = texts.entry(static_cast<std::int64_t>(i));
    const auto said = predicted_labels(p, i);
    const float* row = p.row(i);
    const double probability =
        static_cast<double>(said.empty() ? *std::max_element(row, row + p.classes) : row[said.front()]);
    out.push_back({static_cast<std::int64_t>(entry.line), joined_labels(p.gold[i], labels), joined_labels(said, labels),
                   probability, std::string(entry.text)});
    if (!said.empty()) out.back().coloured = explained(model, std::string(entry.text), labels[said.front()], workspace);
  }
  return out;
}

// The metric of the interval and the comparison.
std::string chosen_metric(const TextClassifier& model, const std::string& metric) {
  if (!metric.empty()) {
    check_metric(metric);
    return metric;
  }
  const std::string chosen = classification_metric(model.config());
  return chosen == "loss" ? "log_loss" : chosen;
}

}  // namespace

ClassifierReport::ClassifierReport(const AveragedClassifiers& models, const LabelledTexts& texts,
                                   const std::string& metric, const LabelledTexts* train, ThreadPool& pool)
    : classifier_(*models.models().front()),
      texts_(texts),
      main_metric_(chosen_metric(classifier_, metric)),
      gold_(gold_labels(texts, classifier_.labels())),
      predictions_(predict(models, texts, gold_, pool)),
      evaluation_(evaluate(predictions_, gold_.labels)) {
  if (evaluation_.metrics().contains(main_metric_)) interval_ = bootstrap_interval(predictions_, main_metric_);
  if (!metric.empty() && !interval_) fail("--metric {}: not defined on this data", metric);
  if (train) add_baselines(*train);
}

void ClassifierReport::add_baselines(const LabelledTexts& train) {
  const TextGold fitted = gold_labels(train, classifier_.labels());
  if (fitted.unseen > 0)
    fail("train: the model does not know the label {}: it was trained on other data", fitted.first_unseen);
  const std::size_t K = classifier_.labels().size(), all = gold_.labels.size();
  const auto add = [&](const std::string& name, const std::vector<float>& known) {
    Predictions p = predictions_;
    std::fill(p.probabilities.begin(), p.probabilities.end(), 0.0f);
    for (std::size_t i = 0; i < p.records(); ++i)
      std::copy_n(known.begin() + i * K, K, p.probabilities.begin() + i * all);
    baselines_.push_back({name, evaluate(p, gold_.labels)});
  };
  const std::vector<TextGold::Ids> gold = fitted.all();
  const int classes = static_cast<int>(K);
  const bool multi_label = classifier_.multi_label();
  add("majority class", majority_baseline(gold, classes, multi_label, static_cast<std::size_t>(texts_.size())));
  const bool characters = classifier_.config().text.has_characters();
  const NgramBaselineOptions options = characters ? character_baseline_options() : word_baseline_options();
  add(characters ? "character n-grams + logistic regression" : "word n-grams + logistic regression",
      NgramBaseline(features_of(classifier_, train, options.max_n), gold, classes, multi_label, options)
          .predict(features_of(classifier_, texts_, options.max_n)));
}

void ClassifierReport::compare(const Report& other) {
  const auto& theirs = static_cast<const ClassifierReport&>(other);
  if (theirs.classifier_.labels() != classifier_.labels())
    fail("{}: its labels are not those of {}", other.model_name, model_name);
  comparison_ = compare_models(predictions_, theirs.predictions_, main_metric_);
  other_model_ = other.model_name;
}

std::string ClassifierReport::summary() const {
  return fmt::format("accuracy {:.4f}, macro F1 {:.4f}, log loss {:.4f}", evaluation_.accuracy, evaluation_.macro_f1,
                     evaluation_.log_loss);
}

Json ClassifierReport::json() const {
  Json out{{"model", model_name},
           {"data", data_name},
           {"records", evaluation_.records},
           {"metrics", metrics_json(evaluation_)}};
  if (interval_) out["interval"] = interval_json(*interval_, main_metric_);
  if (!baselines_.empty()) {
    out["baselines"] = Json::array();
    for (const auto& b : baselines_)
      out["baselines"].push_back({{"name", b.name}, {"metrics", metrics_json(b.evaluation)}});
  }
  if (comparison_) out["comparison"] = comparison_json(*comparison_, other_model_);
  out["per_class"] = Json::array();
  for (const ClassScores& s : evaluation_.per_class)
    out["per_class"].push_back({{"label", s.label},
                                {"precision", s.precision},
                                {"recall", s.recall},
                                {"f1", s.f1},
                                {"support", s.support},
                                {"predicted", s.predicted}});
  out["confusion"] = Json::array();
  for (const auto& [pair, count] : evaluation_.confusion)
    out["confusion"].push_back({{"gold", evaluation_.per_class[pair.first].label},
                                {"predicted", evaluation_.per_class[pair.second].label},
                                {"count", count}});
  return out;
}

std::string ClassifierReport::text() const {
  const Evaluation& e = evaluation_;
  const std::vector<std::string>& labels = gold_.labels;
  std::string out =
      fmt::format("{} on {}, {}\n\n", escaped(model_name), escaped(data_name), counted(e.records, "record"));
  if (interval_)
    out += fmt::format("{} {:.4f}, 95% interval {:.4f} to {:.4f}\n\n", main_metric_, interval_->value, interval_->low,
                       interval_->high);
  out += fmt::format("{:<42}{:>9}{:>9}{:>9}{:>9}\n", "", "accuracy", "macro F1", "log loss", "ece");
  const auto row = [&](const std::string& name, const Evaluation& v) {
    out += fmt::format("{:<42}{:>9.4f}{:>9.4f}{:>9.4f}{:>9.4f}\n", name, v.accuracy, v.macro_f1, v.log_loss, v.ece);
  };
  row("model", e);
  for (const auto& b : baselines_) row(b.name, b.evaluation);
  if (e.auc) out += fmt::format("\nROC AUC {:.4f}\n", *e.auc);
  out += fmt::format(
      "\n{:<24}{:>10}{:>10}{:>10}\n{:<24}{:>10.4f}{:>10.4f}{:>10.4f}\n{:<24}{:>10.4f}{:>10.4f}{:>10.4f}\n"
      "{:<24}{:>10.4f}{:>10.4f}{:>10.4f}\n",
      "average", "precision", "recall", "F1", "micro", e.micro_precision, e.micro_recall, e.micro_f1, "macro",
      e.macro_precision, e.macro_recall, e.macro_f1, "weighted", e.weighted_precision, e.weighted_recall,
      e.weighted_f1);
  out += fmt::format("\n{:<24}{:>10}{:>10}{:>10}{:>10}\n", "label", "precision", "recall", "F1", "records");
  for (const ClassScores& s : e.per_class)
    out += fmt::format("{:<24}{:>10.4f}{:>10.4f}{:>10.4f}{:>10}\n", shown_label(s.label), s.precision, s.recall, s.f1,
                       s.support);
  if (!e.confusion.empty() && labels.size() <= 12) {
    std::size_t width = 10;
    for (const std::string& label : labels) width = std::max(width, shown_label(label).size() + 2);
    out += fmt::format("\n{:<24}", "gold \\ predicted");
    for (const std::string& label : labels) out += fmt::format("{:>{}}", shown_label(label), width);
    for (std::size_t g = 0; g < labels.size(); ++g) {
      out += fmt::format("\n{:<24}", shown_label(labels[g]));
      for (std::size_t k = 0; k < labels.size(); ++k) {
        const auto cell = e.confusion.find({static_cast<std::int32_t>(g), static_cast<std::int32_t>(k)});
        out += fmt::format("{:>{}}", cell == e.confusion.end() ? 0 : cell->second, width);
      }
    }
    out += "\n";
  }
  if (comparison_) out += comparison_text(*comparison_, other_model_);
  return out;
}

std::string ClassifierReport::page(const std::string& log_file) const {
  ReportData page;
  page.title = data_name;
  page.facts = {{"model", model_name},
                {"data", data_name},
                {"records", std::to_string(evaluation_.records)},
                {"calibration temperature", fmt::format("{:.4f}", classifier_.temperature)}};
  page.labels = gold_.labels;
  page.main_metric = main_metric_;
  page.interval = interval_;
  page.scores = report_scores(evaluation_, classifier_.multi_label());
  for (const auto& b : baselines_) page.baselines.push_back({b.name, b.evaluation.metrics()});
  page.comparison = comparison_;
  page.comparison_name = other_model_;
  page.multi_label = classifier_.multi_label();
  page.mistakes = worst_mistakes(classifier_, predictions_, gold_.labels, texts_);
  page.learning_curves = learning_curves(log_file, classification_metric(classifier_.config()));
  return html_report(page);
}

}  // namespace mnemo
