// A translator's report: BLEU and chrF with confidence intervals, beside baselines.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "measure/translation_metrics.h"
#include "pipeline/translation.h"
#include "report/html_report.h"
#include "report/report.h"
#include "tasks/translate/training.h"

namespace mnemo {

class TranslationReport : public Report {
 public:
  /// Translates the sources of `pairs`, with the beam of the request, as in training by greedy decoding, and compares
  /// with the targets. All but the request must outlive the report. Its metric is bleu, chrf or loss; empty: the one by
  /// which the model was chosen. With its `train`, which must be a PairSet, two baselines: the source as it is, and
  /// word for word by a dictionary that IBM's model 1 finds in train.
  TranslationReport(const TextTranslator& model, const PairSet& pairs, const MeasureRequest& request, ThreadPool& pool);

  Metrics metrics() const override;
  const std::string& main_metric() const override { return main_metric_; }
  void compare(const Report& other) override;
  Json json() const override;
  std::string text() const override;
  std::string summary() const override;
  std::string page(const std::string& log_file) const override;

 private:
  // Of one set of translations.
  struct Scores {
    std::vector<BleuCounts> bleu;
    std::vector<ChrfCounts> chrf;
    BleuCounts all_bleu;
    ChrfCounts all_chrf;

    void add(std::string_view translation, std::string_view reference, BleuTokens tokens);
    Metrics metrics() const;
  };
  struct Baseline {
    std::string name;
    Scores scores;
  };
  // Sentences whose references have a similar length.
  struct LengthClass {
    std::int64_t least = 0, most = 0, sentences = 0;  // tokens, as BLEU counts them
    BleuCounts bleu;
  };

  Interval interval() const;
  std::vector<LengthClass> by_length() const;
  void add_baselines(const PairSet& train);
  std::vector<WorstTranslation> worst() const;

  const TextTranslator& model_;
  const PairSet& pairs_;
  ThreadPool& pool_;
  TranslationOptions options_;
  std::string main_metric_;
  BleuTokens tokens_;
  std::vector<Translation> translations_;  // the best of each source
  Scores scores_;
  RecordRatio loss_;  // in nats, over units of the targets
  Interval interval_;
  std::vector<Baseline> baselines_;
  std::optional<Comparison> comparison_;
  std::string other_model_;
};

/// Throws UsageError unless a translator has a metric of this name.
void check_translation_metric(const std::string& name);

}  // namespace mnemo
