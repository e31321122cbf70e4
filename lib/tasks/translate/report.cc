#include "tasks/translate/report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "report/comparison.h"
#include "report/learning_curves.h"
#include "tasks/translate/dictionary.h"

namespace mnemo {
namespace {

constexpr std::size_t kWorst = 50;

}  // namespace

void check_translation_metric(const std::string& name) {
  if (name != "bleu" && name != "chrf" && name != "loss")
    throw UsageError(fmt::format("metric {}: a translator has bleu, chrf and loss", shown(name)));
}

void TranslationReport::Scores::add(std::string_view translation, std::string_view reference, BleuTokens tokens) {
  bleu.push_back(count_bleu(translation, reference, tokens));
  chrf.push_back(count_chrf(translation, reference));
  all_bleu += bleu.back();
  all_chrf += chrf.back();
}

Metrics TranslationReport::Scores::metrics() const {
  return {{"bleu", mnemo::bleu(all_bleu)}, {"chrf", mnemo::chrf(all_chrf)}};
}

TranslationReport::TranslationReport(const TextTranslator& model, const PairSet& pairs, const MeasureRequest& request,
                                     ThreadPool& pool)
    : model_(model),
      pairs_(pairs),
      pool_(pool),
      main_metric_(request.metric.empty() ? translation_metric(model.config()) : request.metric),
      tokens_(bleu_tokens_for(request.search.bleu.empty() ? model.config().data.bleu : request.search.bleu,
                              model.config(), pairs)) {
  check_translation_metric(main_metric_);
  if (request.as_in_training) options_.beam = 1;
  if (request.search.beam) options_.beam = *request.search.beam;
  if (request.search.length_penalty) options_.length_penalty = *request.search.length_penalty;
  options_.attention = false;
  for (auto& found : translate(model, sources_of(pairs), options_, pool))
    translations_.push_back(std::move(found.front()));
  for (std::size_t i = 0; i < translations_.size(); ++i)
    scores_.add(translations_[i].text, std::string(pairs.entry(static_cast<std::int64_t>(i)).target), tokens_);
  Workspace workspace(pool);
  for (const auto& log_p : model.log_probabilities(encode_pairs(model, pairs), workspace)) {
    loss_.parts.push_back(-std::accumulate(log_p.begin(), log_p.end(), 0.0));
    loss_.wholes.push_back(static_cast<double>(log_p.size()));
  }
  interval_ = interval();
  if (request.train) add_baselines(static_cast<const PairSet&>(*request.train));
}

Interval TranslationReport::interval() const {
  if (main_metric_ == "chrf") return bootstrap_corpus(scores_.chrf);
  if (main_metric_ == "bleu") return bootstrap_corpus(scores_.bleu);
  return bootstrap_ratio(loss_);
}

void TranslationReport::add_baselines(const PairSet& train) {
  Baseline copy{"the source as it is", {}}, words{"word for word (IBM model 1)", {}};
  const Dictionary dictionary(model_, train);
  for (const PairSet::Entry& pair : pairs_.entries()) {
    const std::string source(pair.source), target(pair.target);
    copy.scores.add(source, target, tokens_);
    words.scores.add(dictionary.translate(source), target, tokens_);
  }
  baselines_.push_back(std::move(copy));
  baselines_.push_back(std::move(words));
}

Metrics TranslationReport::metrics() const {
  Metrics out = scores_.metrics();
  const auto sum = [](const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); };
  out["loss"] = sum(loss_.parts) / sum(loss_.wholes);
  return out;
}

void TranslationReport::compare(const Report& other) {
  const auto& theirs = static_cast<const TranslationReport&>(other);
  other_model_ = other.model_name;
  if (main_metric_ == "chrf") {
    comparison_ = compare_corpora(scores_.chrf, theirs.scores_.chrf);
    return;
  }
  if (main_metric_ == "loss") {
    if (loss_.wholes != theirs.loss_.wholes)
      fail(
          "{} cuts the targets into other units than {}: their loss per unit cannot be compared; --metric bleu "
          "compares their translations",
          other.model_name, model_name);
    comparison_ = compare_ratios(loss_, theirs.loss_, main_metric_);
    return;
  }
  // The other model may measure itself by other words.
  Scores same;
  for (std::size_t i = 0; i < theirs.translations_.size(); ++i)
    same.add(theirs.translations_[i].text, std::string(pairs_.entry(static_cast<std::int64_t>(i)).target), tokens_);
  comparison_ = compare_corpora(scores_.bleu, same.bleu);
}

std::vector<TranslationReport::LengthClass> TranslationReport::by_length() const {
  static constexpr std::int64_t kLimits[] = {5, 10, 15, 20, 30, 50};
  std::vector<LengthClass> out;
  std::int64_t least = 0;
  for (const std::int64_t limit : kLimits) {
    out.push_back({least, limit, 0, {}});
    least = limit + 1;
  }
  out.push_back({least, 0, 0, {}});
  for (const BleuCounts& counts : scores_.bleu) {
    const auto match = std::ranges::find_if(
        out, [&](const LengthClass& c) { return c.most == 0 || counts.reference_length <= c.most; });
    ++match->sentences;
    match->bleu += counts;
  }
  std::erase_if(out, [](const LengthClass& c) { return c.sentences == 0; });
  return out;
}

std::string TranslationReport::summary() const {
  const Metrics m = metrics();
  return fmt::format("BLEU {:.2f} ({}), chrF2 {:.2f}, loss {:.4f}", m.at("bleu"), name_of(tokens_), m.at("chrf"),
                     m.at("loss"));
}

Json TranslationReport::json() const {
  Json out{{"model", model_name},
           {"data", data_name},
           {"records", pairs_.size()},
           {"metrics", Json(metrics())},
           {"signatures", {{"bleu", bleu_signature(tokens_)}, {"chrf", chrf_signature()}}},
           {"interval", interval_json(interval_, main_metric_)}};
  const auto precisions = bleu_precisions(scores_.all_bleu);
  out["bleu"] = {{"precisions", precisions},
                 {"brevity_penalty", brevity_penalty(scores_.all_bleu)},
                 {"translation_length", scores_.all_bleu.hypothesis_length},
                 {"reference_length", scores_.all_bleu.reference_length}};
  for (const LengthClass& c : by_length())
    out["by_length"].push_back({{"least", c.least},
                                {"most", c.most == 0 ? Json() : Json(c.most)},
                                {"sentences", c.sentences},
                                {"bleu", mnemo::bleu(c.bleu)}});
  for (const Baseline& b : baselines_)
    out["baselines"].push_back({{"name", b.name}, {"metrics", Json(b.scores.metrics())}});
  if (comparison_) out["comparison"] = comparison_json(*comparison_, other_model_);
  return out;
}

std::string TranslationReport::text() const {
  const Metrics m = metrics();
  const BleuCounts& all = scores_.all_bleu;
  const auto p = bleu_precisions(all);
  std::string out =
      fmt::format("{} on {}, {}\n\n", escaped(model_name), escaped(data_name), counted(pairs_.size(), "pair"));
  const auto between = [&](const char* metric) {
    return main_metric_ == metric ? fmt::format(", 95% interval {:.2f} to {:.2f}", interval_.low, interval_.high) : "";
  };
  out += fmt::format("BLEU {:.2f}{} ({:.1f}/{:.1f}/{:.1f}/{:.1f}, brevity penalty {:.3f}, length ratio {:.3f})\n",
                     m.at("bleu"), between("bleu"), p[0], p[1], p[2], p[3], brevity_penalty(all),
                     static_cast<double>(all.hypothesis_length) /
                         static_cast<double>(std::max<std::int64_t>(1, all.reference_length)));
  out += fmt::format("     {}\n", bleu_signature(tokens_));
  out += fmt::format("chrF2 {:.2f}{}\n     {}\n", m.at("chrf"), between("chrf"), chrf_signature());
  out += fmt::format(
      "loss {:.4f} nats per unit{}\n", m.at("loss"),
      main_metric_ == "loss" ? fmt::format(", 95% interval {:.4f} to {:.4f}", interval_.low, interval_.high) : "");
  const auto row = [&](const std::string& name, const Metrics& its) {
    out += fmt::format("{:<32}{:>10.2f}{:>10.2f}\n", name, its.at("bleu"), its.at("chrf"));
  };
  if (!baselines_.empty()) {
    out += fmt::format("\n{:<32}{:>10}{:>10}\n", "", "BLEU", "chrF2");
    row("model", m);
    for (const Baseline& b : baselines_) row(b.name, b.scores.metrics());
  }
  out += fmt::format("\n{:<32}{:>10}{:>10}\n", "tokens of the reference", "sentences", "BLEU");
  for (const LengthClass& c : by_length())
    out += fmt::format("{:<32}{:>10}{:>10.2f}\n",
                       c.most == 0 ? fmt::format("{} or more", c.least) : fmt::format("{} to {}", c.least, c.most),
                       c.sentences, mnemo::bleu(c.bleu));
  if (comparison_) out += comparison_text(*comparison_, other_model_);
  return out;
}

std::string TranslationReport::page(const std::string& log_file) const {
  ReportData page;
  page.translator = true;
  page.title = data_name;
  page.facts = {
      {"model", model_name}, {"data", data_name}, {"BLEU", bleu_signature(tokens_)}, {"chrF2", chrf_signature()}};
  page.main_metric = main_metric_;
  page.interval = interval_;
  page.scores.records = pairs_.size();
  page.scores.metrics = metrics();
  page.scores.listed = {"bleu", "chrf", "loss"};
  for (const Baseline& b : baselines_) page.baselines.push_back({b.name, b.scores.metrics()});
  for (const LengthClass& c : by_length())
    page.by_length.push_back(
        {c.most == 0 ? fmt::format("{} or more", c.least) : fmt::format("{} to {}", c.least, c.most), c.sentences,
         mnemo::bleu(c.bleu)});
  page.comparison = comparison_;
  page.comparison_name = other_model_;
  page.learning_curves = learning_curves(log_file, main_metric_);
  page.worst = worst();
  return html_report(page);
}

// They are translated once more, as the attention of all sentences would take too much memory to be kept until it is
// known which are the worst.
std::vector<WorstTranslation> TranslationReport::worst() const {
  std::vector<std::size_t> order(translations_.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> sentence(order.size());
  for (const std::size_t i : order) sentence[i] = chrf(scores_.chrf[i]);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return sentence[a] < sentence[b]; });
  order.resize(std::min(order.size(), kWorst));
  std::vector<std::string> sources;
  sources.reserve(order.size());
  for (const std::size_t i : order) sources.emplace_back(pairs_.entry(static_cast<std::int64_t>(i)).source);
  TranslationOptions options = options_;
  options.attention = true;
  const auto again = translate(model_, sources, options, pool_);
  std::vector<WorstTranslation> out;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const std::size_t i = order[k];
    const Translation& one = again[k].front();
    const PairSet::Entry pair = pairs_.entry(static_cast<std::int64_t>(i));
    WorstTranslation worst{static_cast<std::int64_t>(pair.line),
                           sentence[i],
                           std::string(pair.source),
                           std::string(pair.target),
                           one.text,
                           one.source_units,
                           {},
                           {}};
    for (const std::int32_t id : one.units) worst.units.emplace_back(model_.target().vocabulary.text(id));
    for (const AttentionRow& row : one.attention) worst.attention.push_back(row.shares());
    out.push_back(std::move(worst));
  }
  return out;
}

}  // namespace mnemo
