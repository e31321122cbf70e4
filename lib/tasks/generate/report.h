// A language model's report: perplexity with a confidence interval.
#pragma once

#include <optional>
#include <string>

#include "report/report.h"
#include "tasks/generate/training.h"

namespace mnemo {

class LanguageReport : public Report {
 public:
  /// Throws Error for a text without units.
  LanguageReport(const TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                 const AdaptationOptions& adaptation);
  /// A report of `nats` per unit, measured as dev is in training and so without an interval; its main metric is
  /// `metric`.
  LanguageReport(const UnitText& text, std::string metric, double nats);

  Metrics metrics() const override;
  const std::string& main_metric() const override { return main_metric_; }
  /// Throws Error if the other model splits the text into other units.
  void compare(const Report& other) override;
  Json json() const override;
  std::string text() const override;
  std::string summary() const override;
  std::string page(const std::string&) const override { return {}; }

 private:
  std::string main_metric_ = "nats";
  std::int64_t units_ = 0, unknown_ = 0;
  std::string pieces_;   // "lines" or "records"
  RecordRatio records_;  // of each of these
  Interval interval_;    // 95%, of nats per unit
  std::optional<Comparison> comparison_;
  std::string other_model_;
};

}  // namespace mnemo
