#include "report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/random.h"
#include "report/svg.h"
#include "tests/catch.h"
#include "text/html.h"
#include "text/utf8.h"

using namespace mnemo;

namespace {

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == ':'; }

// Checks the attributes of one tag: name="value", each once, nothing else. Returns the fault, or an empty string.
std::string attribute_fault(std::string_view text) {
  std::set<std::string> seen;
  while (!text.empty() && text != "/") {
    if (text[0] != ' ') return "no blank before an attribute";
    while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
    std::size_t length = 0;
    while (length < text.size() && is_name(text[length])) ++length;
    const std::string name(text.substr(0, length));
    if (!seen.insert(name).second) return "an attribute twice";
    if (name.starts_with("on") || name == "src" || name.ends_with("href")) return "the attribute " + name;
    text.remove_prefix(length);
    if (!text.starts_with("=\"")) return "an attribute without a quoted value";
    const auto end = text.find('"', 2);
    if (end == std::string_view::npos || text.substr(2, end - 2).find('<') != std::string_view::npos)
      return "an open value";
    text.remove_prefix(end + 1);
  }
  return "";
}

// Empty if every element is closed in order, every tag and entity is complete, and there is no element or attribute
// that could run code or load something. Else the fault.
std::string fault(std::string_view page) {
  static const std::set<std::string> empty = {"meta"};
  static const std::set<std::string> allowed = {
      "html", "head", "meta",   "title", "style", "body",  "main", "h1", "h2",      "h3",      "p",   "small", "dl",
      "dt",   "dd",   "div",    "table", "thead", "tbody", "tr",   "th", "td",      "figure",  "svg", "g",     "line",
      "path", "rect", "circle", "text",  "span",  "bdi",   "ol",   "li", "details", "summary", "mark"};
  std::vector<std::string> open;
  if (!page.starts_with("<!DOCTYPE html>\n")) return "no doctype";
  for (std::size_t i = 16; i < page.size();) {
    if (page[i] == '&') {
      const auto end = page.find(';', i);
      const std::string entity(page.substr(i, end - i + 1));
      if (!std::set<std::string>{"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}.count(entity)) return "entity " + entity;
    }
    if (page[i] == '>') return "a bare >";
    if (page[i] != '<') {
      ++i;
      continue;
    }
    const auto end = page.find('>', i);
    if (end == std::string_view::npos) return "an open tag";
    std::string_view tag = page.substr(i + 1, end - i - 1);
    i = end + 1;
    const bool closing = tag.starts_with("/");
    if (closing) tag.remove_prefix(1);
    std::size_t length = 0;
    while (length < tag.size() && is_name(tag[length])) ++length;
    const std::string name(tag.substr(0, length));
    if (!allowed.count(name)) return "element " + std::string(tag.substr(0, 40));
    if (closing) {
      if (open.empty() || open.back() != name) return "closing " + name;
      open.pop_back();
      continue;
    }
    const std::string wrong = attribute_fault(tag.substr(length));
    if (!wrong.empty()) return fmt::format("{}: {}", name, wrong);
    if (!empty.count(name) && !tag.ends_with("/")) open.push_back(name);
    if (name == "style") i = page.find("</style>", i);
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

std::vector<std::string> plain_labels(int classes) {
  std::vector<std::string> labels;
  labels.reserve(static_cast<std::size_t>(classes));
  for (int c = 0; c < classes; ++c) labels.push_back("label" + std::to_string(c));
  return labels;
}

ReportData report_of(const std::vector<std::string>& labels, bool multi_label = false) {
  RandomStream random(1, Purpose::kTest);
  const auto classes = static_cast<int>(labels.size());
  Predictions predictions{classes, multi_label, {}, {}};
  for (int i = 0; i < 300; ++i) {
    const auto gold = static_cast<std::int32_t>(random.below(labels.size()));
    predictions.gold.push_back({gold});
    for (int c = 0; c < classes; ++c)
      predictions.probabilities.push_back(static_cast<float>(random.uniform() * 0.5 + (c == gold ? 0.3 : 0)));
  }
  ReportData data;
  data.title = "A model";
  data.labels = labels;
  data.multi_label = multi_label;
  data.scores = report_scores(evaluate(predictions, labels), multi_label);
  return data;
}

ReportData full_report(const std::vector<std::string>& labels, const std::string& text) {
  ReportData data = report_of(labels);
  data.title = data.language = data.comparison_name = text;
  data.facts = {{text, text}};
  data.interval = Interval{data.scores.metrics.at("accuracy"), 0, 1};
  data.baselines = {{text, data.scores.metrics}, {"majority", data.scores.metrics}};
  data.comparison = Comparison{"accuracy", 0.5, 0.4, {0.1, 0.05, 0.15}, 0.01, text};
  data.learning_curves = {{text, {{text, {{1, 0.5}, {2, 0.25}}}, {"other", {{1, 1}}}}}};
  data.mistakes = {{1, text, text, 0.9, text}};
  return data;
}

}  // namespace

TEST_CASE("a page is well-formed, whatever its data") {
  CHECK(fault(html_report(report_of(plain_labels(2)))).empty());
  CHECK(fault(html_report(report_of(plain_labels(60)))).empty());
  CHECK(fault(html_report(report_of(plain_labels(61)))).empty());
  CHECK(fault(html_report(report_of(plain_labels(5), true))).empty());
  CHECK(fault(html_report(full_report(plain_labels(3), "plain"))).empty());
  CHECK(fault(html_report(ReportData())).empty());
}

TEST_CASE("the checker of this test finds faults") {
  const std::string good = html_report(report_of(plain_labels(2)));
  for (const char* bad :
       {"<script>", "<p>", "</p>", "&", "&lt", ">", "<", "<p onclick=\"x\"></p>", "<p a=b></p>", "<img src=\"x\">"}) {
    std::string page = good;
    page.insert(page.find("</main>"), bad);
    INFO(bad);
    CHECK_FALSE(fault(page).empty());
  }
}

TEST_CASE("hostile labels and texts remain text") {
  const std::string hostile[] = {"</title><script>alert(1)</script>",
                                 "\" onload=\"alert(1)",
                                 "' onload='alert(1)",
                                 "<!-- ",
                                 "]]></style><b>",
                                 "&lt;&amp;&#x3c;",
                                 "{}{0}%s",
                                 std::string("\0\x01\x1F\x7F", 4),
                                 "\xC2\x80\xEF\xBF\xBF\xF0\x9F\xBF\xBE",
                                 "\u202Eabc\u2066",
                                 "\xFF\xFE\xC0\xAF\xED\xA0\x80",
                                 "\xE5\xA5",
                                 "好评 👍🏽 مرحبا",
                                 "line\r\nline\ttab",
                                 std::string(20'000, '<'),
                                 ""};
  for (const std::string& text : hostile) {
    INFO(text.substr(0, 40));
    const std::string page = html_report(full_report({text, "b", text + "x"}, text));
    CHECK(fault(page).empty());
    CHECK_FALSE(find_invalid_utf8(page).has_value());
    CHECK(std::none_of(page.begin(), page.end(),
                       [](char c) { return (c >= 0 && c < 0x20 && c != '\n' && c != '\t') || c == 0x7F; }));
  }
  std::vector<std::string> many(70, "</table><script>");
  CHECK(fault(html_report(full_report(many, "x"))).empty());
}

TEST_CASE("escaping") {
  CHECK(escape_html("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(escape_html("好\n\t") == "好\n\t");
  CHECK(escape_html(std::string("\0", 1)) == "\xEF\xBF\xBD");
  CHECK(escape_html("a\xFFz\xE5\xA5") == "a\xEF\xBF\xBDz\xEF\xBF\xBD");
  CHECK(escape_html("\xE2\x80\xAEx") == "\xEF\xBF\xBDx");
  CHECK(escape_html("\xC2\x85") == "\xEF\xBF\xBD");
}

TEST_CASE("long labels are shortened by their width on the screen") {
  CHECK(shortened_html("short", 5) == "short");
  CHECK(shortened_html("longer", 5) == "long…");
  CHECK(shortened_html("很长的标签", 10) == "很长的标签");
  CHECK(shortened_html("很长的标签", 9) == "很长的标…");
  CHECK(shortened_html("很长的标签", 4) == "很…");
  CHECK(shortened_html("<<<<", 3) == "&lt;&lt;…");
  CHECK(shortened_html("\xFF\xFF\xFF\xFF", 2) == "\xEF\xBF\xBD…");
}

TEST_CASE("the page shows the given data") {
  ReportData data = full_report({"good", "bad"}, "plain");
  data.title = "Films";
  data.language = "de";
  data.mistakes = {{1234, "good", "bad", 0.98765, "not at all bad"}};
  const std::string page = html_report(data);
  CHECK_THAT(page, contains_text("<html lang=\"de\">"));
  CHECK_THAT(page, contains_text("<title>Films</title>"));
  CHECK_THAT(page, contains_text(fmt::format("{:.4f} <small>accuracy, 95% interval 0.0000 to 1.0000; 300 records",
                                             data.scores.metrics.at("accuracy"))));
  CHECK_THAT(page, contains_text("ROC AUC"));
  CHECK_THAT(page, contains_text("Line 1,234:"));
  CHECK_THAT(page, contains_text("with probability 0.9877"));
  CHECK_THAT(page, contains_text("not at all bad"));
  CHECK_THAT(page, contains_text("on these records the model is not clearly better"));
  CHECK_THAT(page, contains_text("difference +0.1000 (95% interval +0.0500 to +0.1500), p = 0.01"));
  CHECK_THAT(page, contains_text("gold good, predicted bad: "));
}

TEST_CASE("a baseline that is clearly worse is not pointed out") {
  ReportData data = full_report(plain_labels(2), "x");
  data.interval = Interval{0.9, data.scores.metrics.at("accuracy") + 0.01, 0.99};
  CHECK_THAT(html_report(data), !contains_text("not clearly better"));
  data.main_metric = "log_loss";
  data.interval = Interval{0.1, 0.05, data.scores.metrics.at("log_loss") - 0.01};
  CHECK_THAT(html_report(data), !contains_text("not clearly better"));
  data.interval->high = data.scores.metrics.at("log_loss");
  CHECK_THAT(html_report(data), contains_text("not clearly better"));
}

TEST_CASE("many classes are listed by their confusions") {
  const ReportData data = report_of(plain_labels(61));
  const std::string page = html_report(data);
  CHECK_THAT(page, contains_text("Most confused classes"));
  CHECK_THAT(page, !contains_text("aria-label=\"Confusion matrix\""));
  CHECK_THAT(html_report(report_of(plain_labels(60))), contains_text("aria-label=\"Confusion matrix\""));
}

TEST_CASE("a tagger's mistakes show the marks of gold tags and prediction") {
  ReportData data = full_report(plain_labels(2), "x");
  data.tagger = true;
  Mistake mistake{7, "", "", 0.0123, "Li <Bai> met Zoë"};
  mistake.gold_marks = {{0, 8, "PER", false}, {13, 17, "PER", true}};
  mistake.predicted_marks = {{3, 8, "P<", false}, {13, 17, "PER", true}};
  data.mistakes = {mistake};
  const std::string page = html_report(data);
  CHECK(fault(page).empty());
  CHECK_THAT(page, contains_text("300 sentences"));
  CHECK_THAT(page, contains_text("Line 7, the true tags' probability 0.012"));
  CHECK_THAT(page, contains_text("<mark class=\"wrong\">Li &lt;Bai&gt;<small>PER</small></mark> met <mark>Zoë<"));
  CHECK_THAT(page, contains_text("Li <mark class=\"wrong\">&lt;Bai&gt;<small>P&lt;</small></mark> met <mark>Zoë<"));

  // Of a long sentence, the part around the first wrong mark.
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "好 ";
  data.mistakes[0].text = text;
  data.mistakes[0].gold_marks = {{0, 3, "A", true}, {200000, 200003, "B", false}, {300000, 300003, "C", false}};
  const std::string cut = html_report(data);
  CHECK(fault(cut).empty());
  CHECK_THAT(cut, contains_text("<small>B</small>"));
  CHECK_THAT(cut, !contains_text("<small>C</small>"));
  CHECK(cut.size() < 200000);
}

TEST_CASE("a shortened text states how much of it is left out") {
  ReportData data = report_of(plain_labels(2));
  std::string text;
  for (int i = 0; i < 2500; ++i) text += "好";
  data.mistakes = {{1, "a", "b", 1, text}};
  CHECK_THAT(html_report(data), contains_text("… 1,500 more characters"));
}

TEST_CASE("curves of any values are drawn, or left out") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<std::pair<double, double>>> odd = {
      {{1, 0.5}},
      {{1, 0.5}, {1, 0.5}},
      {{0, 0}, {1, 0}},
      {{1, 5}, {2, NAN}, {3, 4}, {4, kInf}},
      {{1, 1e-12}, {2, 2e-12}},
      {{1, 1e29}, {1e9, -1e29}},
      {{1, 1e300}, {2, 1}},
      {{1e15, 1}, {1e15 + 1, 2}},
      {{-5, -1e-3}, {5, 1e-3}},
  };
  for (const auto& points : odd) {
    INFO(points[0].first << " " << points[0].second);
    const std::string drawing = svg_line_chart({"loss", {{"train", points}}});
    CHECK_THAT(drawing, contains_text("<path"));
    CHECK_THAT(drawing, !contains_text("nan"));
    CHECK_THAT(drawing, !contains_text("inf"));
    CHECK(drawing.size() < 20'000);
  }
  CHECK(svg_line_chart({"loss", {}}).empty());
  CHECK(svg_line_chart({"loss", {{"train", {}}, {"dev", {{1, NAN}}}}}).empty());
}

TEST_CASE("a long curve is thinned and keeps its range") {
  Curve curve{"train", {}};
  for (int i = 0; i < 100'000; ++i) curve.points.emplace_back(i, i);
  const std::string drawing = svg_line_chart({"loss", {curve}});
  CHECK(drawing.size() < 20'000);
  CHECK_THAT(drawing, contains_text(">80k</text>"));
}
