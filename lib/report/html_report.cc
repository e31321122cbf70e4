// The page is appended section by section to one string; each section is left out if it has no data. Everything from
// outside, labels and texts, is escaped where it is inserted, and a content security policy forbids scripts and
// requests in case anything slips through. Names are isolated for bidirectional text.
#include "report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "report/append.h"
#include "report/svg.h"
#include "text/html.h"
#include "text/html_page.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::size_t kMatrixLabels = 60;
constexpr std::size_t kListedPairs = 30;
constexpr std::size_t kLongClassTable = 40;
constexpr std::size_t kMistakeCharacters = 1000;

constexpr std::string_view kReportStyle = R"css(
.headline { font-size: 2.6rem; line-height: 1.1; font-weight: 600; margin: 0; font-variant-numeric: tabular-nums; }
.headline small { font-size: 1rem; font-weight: 400; color: var(--soft); display: inline-block; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1.25rem 0 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
th bdi { overflow-wrap: anywhere; }
thead th:has(bdi) { min-width: 5.5rem; }
td.best { font-weight: 700; }
.key { display: inline-block; width: .8em; height: .8em; vertical-align: -.05em; }
ol.mistakes { list-style: none; margin: 0; padding: 0; }
ol.mistakes li { padding: .7rem 0; border-bottom: 1px solid var(--line); }
ol.mistakes p { margin: .15rem 0; }
.gold { color: var(--good); font-weight: 600; }
.wrong { color: var(--bad); font-weight: 600; }
mark { background: var(--good-back); color: inherit; padding: .05rem .2rem; border-radius: .2rem; }
mark.wrong { background: var(--bad-back); font-weight: 400; color: inherit; }
mark small { padding-left: .3rem; color: var(--soft); }
summary { cursor: pointer; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; } }
@media print { body { max-width: none; } h2 { break-after: avoid; } li, figure { break-inside: avoid; } }
)css";

// A name that keeps its own writing direction.
std::string isolated(std::string_view text) { return fmt::format("<bdi>{}</bdi>", escape_html(text)); }

std::string grouped(std::int64_t number) {
  std::string digits = fmt::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string metric_title(std::string_view metric) {
  if (metric == "auc") return "ROC AUC";
  if (metric == "bleu") return "BLEU";
  if (metric == "chrf") return "chrF2";
  if (metric == "ece") return "calibration error (ECE)";
  if (metric == "log_loss") return "log loss (nats)";
  std::string title(metric);
  std::ranges::replace(title, '_', ' ');
  if (title.ends_with("f1")) title.replace(title.size() - 2, 2, "F1");
  return escape_html(title);
}

// ---- The head of the page.

std::string interval_text(const Interval& interval) {
  return fmt::format("95% interval {:.4f} to {:.4f}", interval.low, interval.high);
}

std::string value_text(const std::map<std::string, double>& metrics, const std::string& metric) {
  const auto found = metrics.find(metric);
  return found == metrics.end() ? "–" : fmt::format("{:.4f}", found->second);
}

void add_headline(std::string& out, const ReportData& data) {
  append(out, R"(<p class="headline">{} <small>{}{}; {} {}</small></p>)",
         value_text(data.scores.metrics, data.main_metric), metric_title(data.main_metric),
         data.interval ? ", " + interval_text(*data.interval) : "", grouped(data.scores.records),
         data.translator ? "pairs"
         : data.tagger   ? "sentences"
                         : "records");
}

// Points out each baseline that the model does not clearly beat.
void add_baseline_notes(std::string& out, const ReportData& data) {
  if (!data.interval) return;
  for (const ReportColumn& column : data.baselines) {
    const auto found = column.metrics.find(data.main_metric);
    if (found == column.metrics.end()) continue;
    const bool higher = higher_is_better(data.main_metric);
    const bool reaches = higher ? found->second >= data.interval->low : found->second <= data.interval->high;
    const bool ahead = higher ? found->second > data.interval->high : found->second < data.interval->low;
    if (reaches)
      append(out, "<p>The baseline {} reaches {:.4f}: on these records the model is {}.</p>", isolated(column.name),
             found->second, ahead ? "worse" : "not clearly better");
  }
}

void add_comparison(std::string& out, const ReportData& data) {
  if (!data.comparison) return;
  const Comparison& c = *data.comparison;
  append(out,
         "<p>Compared with {}: {} {:.4f} against {:.4f}, difference {:+.4f} (95% interval {:+.4f} to {:+.4f}), "
         "p = {:.3g} by the {}.</p>",
         isolated(data.comparison_name), metric_title(c.metric), c.first, c.second, c.difference.value,
         c.difference.low, c.difference.high, c.p_value, escape_html(c.test));
}

void add_facts(std::string& out, const ReportData& data) {
  if (data.facts.empty()) return;
  out += "<dl>";
  for (const auto& [name, value] : data.facts)
    append(out, "<dt>{}</dt><dd>{}</dd>", escape_html(name), isolated(value));
  out += "</dl>";
}

// ---- Tables.

void add_metric_row(std::string& out, const ReportData& data, const std::string& metric) {
  std::vector<std::string> texts = {value_text(data.scores.metrics, metric)};
  for (const ReportColumn& column : data.baselines) texts.push_back(value_text(column.metrics, metric));
  // Compares the printed values, so that all that look equal to the best are marked.
  const auto better = [&](const std::string& a, const std::string& b) {
    return higher_is_better(metric) ? std::stod(a) < std::stod(b) : std::stod(a) > std::stod(b);
  };
  std::vector<std::string> numbers;
  std::ranges::copy_if(texts, std::back_inserter(numbers), [](const std::string& text) { return text != "–"; });
  const std::string best = numbers.size() < 2 ? "" : *std::ranges::max_element(numbers, better);
  append(out, R"(<tr><th scope="row">{}</th>)", metric_title(metric));
  for (const std::string& text : texts) append(out, "<td{}>{}</td>", text == best ? R"( class="best")" : "", text);
  out += "</tr>";
}

void add_metrics(std::string& out, const ReportData& data) {
  out +=
      R"(<h2>Metrics</h2><div class="scroll"><table><thead><tr><th scope="col">metric</th><th scope="col">model</th>)";
  for (const ReportColumn& column : data.baselines) append(out, R"(<th scope="col">{}</th>)", isolated(column.name));
  out += "</tr></thead><tbody>";
  for (const std::string& metric : data.scores.listed) add_metric_row(out, data, metric);
  out += "</tbody></table></div>";
  if (!data.multi_label && !data.tagger && !data.translator)
    out += R"(<p class="note">With one label a record, micro precision, recall and F1 all equal accuracy.</p>)";
}

void add_class_row(std::string& out, const ClassScores& scores) {
  append(out, R"(<tr><th scope="row">{}</th><td>{:.4f}</td><td>{:.4f}</td><td>{:.4f}</td><td>{}</td><td>{}</td></tr>)",
         isolated(scores.label), scores.precision, scores.recall, scores.f1, grouped(scores.support),
         grouped(scores.predicted));
}

void add_per_class(std::string& out, const ReportData& data) {
  const auto& classes = data.scores.per_class;
  if (classes.empty()) return;
  out += data.tagger ? "<h2>By type</h2>" : "<h2>By class</h2>";
  const bool folded = classes.size() > kLongClassTable;
  if (folded) append(out, "<details><summary>All {}</summary>", classes.size());
  out += R"(<div class="scroll"><table><thead><tr><th scope="col"></th><th scope="col">precision</th>)"
         R"(<th scope="col">recall</th><th scope="col">F1</th><th scope="col">gold</th><th scope="col">predicted</th>)"
         "</tr></thead><tbody>";
  for (const ClassScores& scores : classes) add_class_row(out, scores);
  out += "</tbody></table></div>";
  if (folded) out += "</details>";
}

// ---- Drawings.

void add_learning_curves(std::string& out, const ReportData& data) {
  std::string figures;
  for (const CurveChart& chart : data.learning_curves) {
    const std::string drawing = svg_line_chart(chart);
    if (!drawing.empty()) append(figures, "<figure><h3>{}</h3>{}</figure>", escape_html(chart.title), drawing);
  }
  if (!figures.empty()) append(out, R"(<h2>Learning curves</h2><div class="charts">{}</div>)", figures);
}

void add_confused_pairs(std::string& out, const ReportData& data) {
  std::vector<std::pair<std::pair<std::int32_t, std::int32_t>, std::int64_t>> pairs;
  for (const auto& pair : data.scores.confusion)
    if (pair.first.first != pair.first.second) pairs.push_back(pair);
  std::ranges::stable_sort(pairs, std::greater<>(), [](const auto& pair) { return pair.second; });
  if (pairs.empty()) return;
  const std::size_t listed = std::min(pairs.size(), kListedPairs);
  append(out, R"(<h2>Most confused classes</h2><p class="note">{} of {} pairs.</p>)", listed, pairs.size());
  out +=
      R"(<div class="scroll"><table><thead><tr><th scope="col">gold</th><th scope="col" class="words">predicted</th>)"
      R"(<th scope="col">count</th></tr></thead><tbody>)";
  for (std::size_t i = 0; i < listed; ++i)
    append(out, R"(<tr><td>{}</td><td class="words">{}</td><td>{}</td></tr>)",
           isolated(data.labels[static_cast<std::size_t>(pairs[i].first.first)]),
           isolated(data.labels[static_cast<std::size_t>(pairs[i].first.second)]), grouped(pairs[i].second));
  out += "</tbody></table></div>";
}

void add_confusion(std::string& out, const ReportData& data) {
  if (data.scores.confusion.empty()) return;
  if (data.labels.size() > kMatrixLabels) return add_confused_pairs(out, data);
  out += R"(<h2>Confusion</h2><p class="note">A row is a gold label, a column a predicted one. <span class="key" )"
         R"(style="background:#084594"></span> right, <span class="key" style="background:#b23c00"></span> wrong; the )"
         R"(darker, the larger the share of the row.</p><div class="scroll">)";
  out += svg_confusion_matrix(data.scores.confusion, data.labels);
  out += "</div>";
}

void add_calibration(std::string& out, const ReportData& data) {
  const std::string drawing = svg_reliability_diagram(data.scores.bins);
  const auto ece = data.scores.metrics.find("ece");
  if (drawing.empty() || ece == data.scores.metrics.end()) return;
  append(
      out,
      R"(<h2>Calibration</h2><p class="note">Bars: the share of answers that are right, by the confidence they were )"
      R"(given with. On the dashed line a confidence of 0.8 is right in 80 of 100 cases; bars below it are too sure. )"
      R"(Below: how many answers have that confidence. Expected calibration error {:.4f}.</p><figure>{}</figure>)",
      ece->second, drawing);
}

// ---- Mistakes.

std::string mistake_text(std::string_view text) {
  std::size_t end = 0, characters = 0;
  while (end < text.size() && characters < kMistakeCharacters) {
    ++end, ++characters;
    while (end < text.size() && is_continuation(text[end])) ++end;
  }
  std::string result = escape_html(text.substr(0, end));
  if (end < text.size())
    append(result, R"( <span class="note">… {} more characters</span>)",
           grouped(static_cast<std::int64_t>(count_code_points(text.substr(end)))));
  return result;
}

// A text with its marks; a long one is cut to the part around the first wrong mark.
std::string marked_text(std::string_view text, const std::vector<TextMark>& marks) {
  constexpr std::size_t kBefore = 200, kLongest = 4 * kMistakeCharacters;
  std::size_t begin = 0, end = text.size();
  if (text.size() > kLongest) {
    const auto wrong = std::ranges::find(marks, false, &TextMark::right);
    if (wrong != marks.end() && wrong->begin > kBefore) begin = wrong->begin - kBefore;
    while (begin > 0 && is_continuation(text[begin])) --begin;
    end = std::min(text.size(), begin + kLongest);
    while (end < text.size() && is_continuation(text[end])) --end;
  }
  std::string out = begin > 0 ? "… " : "";
  std::size_t at = begin;
  for (const TextMark& mark : marks) {
    if (mark.begin < at || mark.end > end) continue;
    out += escape_html(text.substr(at, mark.begin - at));
    append(out, R"(<mark{}>{}<small>{}</small></mark>)", mark.right ? "" : R"( class="wrong")",
           escape_html(text.substr(mark.begin, mark.end - mark.begin)), escape_html(mark.label));
    at = mark.end;
  }
  out += escape_html(text.substr(at, end - at));
  if (end < text.size()) out += " …";
  return out;
}

void add_tagger_mistake(std::string& out, const Mistake& mistake) {
  append(out, R"(<li><p><span class="note">Line {}, the true tags' probability {:.2g}</span></p>)",
         grouped(mistake.record), mistake.probability);
  for (const auto& [name, marks] : {std::pair{"gold", &mistake.gold_marks}, {"model", &mistake.predicted_marks}})
    append(out, R"(<p class="text" dir="auto"><span class="note">{}</span> {}</p>)", name,
           marked_text(mistake.text, *marks));
  out += "</li>";
}

void add_mistakes(std::string& out, const ReportData& data) {
  if (data.mistakes.empty()) return;
  append(out, "<h2>Worst {}</h2>", data.tagger ? "sentences" : "mistakes");
  if (std::ranges::any_of(data.mistakes, [](const Mistake& mistake) { return mistake.coloured.has_value(); }))
    out +=
        R"(<p class="note">Red speaks for the predicted label, blue against it: how much the logit falls when a unit )"
        R"(is left out.</p>)";
  out += R"(<ol class="mistakes">)";
  for (const Mistake& mistake : data.mistakes) {
    if (data.tagger) {
      add_tagger_mistake(out, mistake);
      continue;
    }
    append(out,
           R"(<li><p><span class="note">Line {}:</span> <span class="gold">{}</span> taken for )"
           R"(<span class="wrong">{}</span> <span class="note">with probability {:.4f}</span></p>)"
           R"({}</li>)",
           grouped(mistake.record), isolated(mistake.gold), isolated(mistake.predicted), mistake.probability,
           mistake.coloured ? coloured_html(*mistake.coloured)
                            : fmt::format(R"(<p class="text" dir="auto">{}</p>)", mistake_text(mistake.text)));
  }
  out += "</ol>";
}

void add_by_length(std::string& out, const ReportData& data) {
  if (data.by_length.empty()) return;
  out +=
      "<h2>By length</h2><table><thead><tr><th>tokens of the reference</th><th>sentences</th><th>BLEU</th></tr>"
      "</thead><tbody>";
  for (const LengthRow& row : data.by_length)
    append(out, "<tr><th>{}</th><td>{}</td><td>{:.2f}</td></tr>", escape_html(row.tokens), grouped(row.sentences),
           row.bleu);
  out += "</tbody></table>";
}

void add_worst_translations(std::string& out, const ReportData& data) {
  if (data.worst.empty()) return;
  out += R"(<h2>Worst translations</h2><ol class="mistakes">)";
  for (const WorstTranslation& one : data.worst) {
    append(out, R"(<li><p><span class="note">Line {}, chrF2 {:.1f}</span></p>)", grouped(one.line), one.chrf);
    for (const auto& [name, text] :
         {std::pair{"source", &one.source}, {"reference", &one.reference}, {"model", &one.translation}})
      append(out, R"(<p class="text" dir="auto"><span class="note">{}</span> {}</p>)", name, mistake_text(*text));
    if (!one.attention.empty())
      append(out, R"(<details><summary class="note">attention</summary>{}</details>)",
             weight_table(one.units, one.source_units, one.attention));
    out += "</li>";
  }
  out += "</ol>";
}

}  // namespace

ReportScores report_scores(const Evaluation& e, bool multi_label) {
  ReportScores out{e.records, e.metrics(), {}, e.per_class, e.bins, e.confusion};
  out.listed = {"accuracy",        "macro_f1",    "macro_precision", "macro_recall", "weighted_precision",
                "weighted_recall", "weighted_f1", "log_loss",        "ece"};
  if (multi_label) out.listed.insert(out.listed.begin() + 1, {"micro_f1", "micro_precision", "micro_recall"});
  if (e.auc) out.listed.emplace_back("auc");
  return out;
}

std::string html_report(const ReportData& data) {
  const std::string style = std::string(kReportStyle) + std::string(kWeightTableStyle);
  std::string out = page_head({.language = data.language, .title = data.title, .style = style});
  append(out, "<h1>{}</h1>", isolated(data.title));
  add_headline(out, data);
  add_baseline_notes(out, data);
  add_comparison(out, data);
  add_facts(out, data);
  add_metrics(out, data);
  add_learning_curves(out, data);
  add_per_class(out, data);
  add_confusion(out, data);
  add_calibration(out, data);
  add_mistakes(out, data);
  add_by_length(out, data);
  add_worst_translations(out, data);
  out += kPageEnd;
  return out;
}

}  // namespace mnemo
