#include "tasks/generate/report.h"

#include "base/error.h"
#include "base/finite.h"
#include "base/json.h"
#include "base/shown.h"
#include "report/comparison.h"

namespace mnemo {

LanguageReport::LanguageReport(const TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                               const AdaptationOptions& adaptation)
    : units_(text.measured), unknown_(text.unknown), pieces_(text.records.empty() ? "lines" : "records") {
  if (text.units.size() == 0) fail("{}: no units to evaluate on", text.files.front().path);
  records_ = evaluate_units(model, text, pool, adaptation);
  finite(metrics().at("perplexity"), "the text's perplexity");
  interval_ = bootstrap_ratio(records_);
}

LanguageReport::LanguageReport(const UnitText& text, std::string metric, double nats)
    : main_metric_(std::move(metric)),
      units_(text.measured),
      unknown_(text.unknown),
      pieces_("texts"),
      records_{{nats}, {1.0}},
      interval_{nats, nats, nats} {}

Metrics LanguageReport::metrics() const {
  Metrics out = language_metrics(mean_nats(records_));
  out.erase("loss");
  return out;
}

void LanguageReport::compare(const Report& other) {
  const auto& theirs = static_cast<const LanguageReport&>(other);
  if (records_.wholes != theirs.records_.wholes)
    fail("{} splits the text into other units than {}: their nats per unit cannot be compared", other.model_name,
         model_name);
  other_model_ = other.model_name;
  comparison_ = compare_ratios(records_, theirs.records_, main_metric_);
}

std::string LanguageReport::summary() const {
  const Metrics m = metrics();
  return fmt::format("perplexity {:.3f}, {:.4f} nats or {:.4f} bits per unit", m.at("perplexity"), m.at("nats"),
                     m.at("bits"));
}

Json LanguageReport::json() const {
  Json out{{"model", model_name},
           {"data", data_name},
           {"records", records_.wholes.size()},
           {"units", units_},
           {"unknown_units", unknown_},
           {"metrics", Json(metrics())},
           {"interval", interval_json(interval_, main_metric_)}};
  if (comparison_) out["comparison"] = comparison_json(*comparison_, other_model_);
  return out;
}

std::string LanguageReport::text() const {
  const Metrics m = metrics();
  std::string out = fmt::format("{} on {}: {} {}, {} units, {} unknown to the model\n\n", escaped(model_name),
                                escaped(data_name), records_.wholes.size(), pieces_, units_, unknown_);
  out += fmt::format("perplexity {:.3f} per unit, {:.4f} nats (95% interval {:.4f} to {:.4f}, by {}), {:.4f} bits\n",
                     m.at("perplexity"), m.at("nats"), interval_.low, interval_.high, pieces_, m.at("bits"));
  if (comparison_) out += comparison_text(*comparison_, other_model_);
  return out;
}

}  // namespace mnemo
