// What inspections say about counts and norms that are known.
#include <cmath>
#include <set>
#include <sstream>

#include "base/highlight.h"
#include "report/attention_view.h"
#include "report/attribution_view.h"
#include "report/context.h"
#include "report/gates.h"
#include "report/gates_page.h"
#include "report/html_report.h"
#include "report/reach.h"
#include "report/saturation.h"
#include "report/svg.h"
#include "tests/catch.h"
#include "text/html.h"

using namespace mnemo;

namespace {

CellTrace::Layer small_layer() {
  CellTrace::Layer layer;
  layer.network = "rnn";
  layer.cell = "gru";
  layer.series.push_back({"f", true, 2, {0.05f, 0.95f, 0.05f, 0.5f, 0.2f, 0.95f, 0.01f, 0.99f}});
  layer.series.push_back({"h", false, 2, {0.0f, 0.5f, 0.1f, -0.5f, 0.1f, 0.25f, 0.0f, 0.0f}});
  return layer;
}

}  // namespace

TEST_CASE("saturation counts the steps of each unit's gates, over batches") {
  Saturation saturation;
  CellTrace trace;
  trace.layers.push_back(small_layer());
  saturation.add(trace);
  trace.layers[0].series[0].values = {0.0f, 1.0f};
  saturation.add(trace);
  const Findings found = saturation.findings("S");
  REQUIRE(found.json["gates"].size() == 1);
  CHECK(found.json["gates"][0]["steps"] == 5);
  CHECK(found.json["gates"][0]["below"] == Json({0.8, 0.0}));
  CHECK(found.json["gates"][0]["above"] == Json({0.0, 0.8}));
  CHECK(found.json["gates"][0]["never_open"] == 0);
  CHECK(found.tables[0].rows[0][0] == "gru, layer 0, forward");
  REQUIRE(found.data.rows.size() == 2);
  CHECK(found.data.rows[1].back() == "0.800000");
  CHECK(
      findings_tsv(found).starts_with("network\tlayer\tdirection\tgate\tunit\tbelow\tabove\nrnn\t0\tforward\tf\t0\t"));
  CHECK(findings_html(found).find("<circle") != std::string::npos);
  CHECK(findings_svg(found).starts_with("<svg xmlns"));
}

TEST_CASE("the reach of a gradient that halves every three steps has a half-life of three") {
  std::vector<std::vector<double>> norms;
  for (int sequence = 0; sequence < 7; ++sequence) {
    auto& one = norms.emplace_back();
    for (int lag = 0; lag < 20 + sequence; ++lag) one.push_back(sequence * std::exp2(-lag / 3.0));
  }
  // The first has no gradient at all and does not count; from lag 22 on fewer than five sequences are left.
  const auto reach = reach_by_lag(norms);
  REQUIRE(reach.size() == 22);
  CHECK(reach[0].sequences == 6);
  CHECK(std::abs(reach[3].median - 0.5) < 1e-12);
  CHECK(std::abs(reach[3].high - 0.5) < 1e-12);
  const auto half = half_life(reach);
  REQUIRE(half);
  CHECK(std::abs(*half - 3.0) < 1e-9);
  CHECK_FALSE(half_life(std::vector<ReachAtLag>(10, ReachAtLag{1, 1, 1, 9})));
  CHECK_FALSE(half_life(std::vector<ReachAtLag>(2, ReachAtLag{1, 1, 1, 9})));
  // Neither what the first step adds nor what lies beyond the lags of the fit changes it.
  std::vector<ReachAtLag> bent(200);
  for (std::size_t lag = 0; lag < bent.size(); ++lag)
    bent[lag].median = (lag == 0 ? 7 : 1) * std::exp2(-static_cast<double>(std::min<std::size_t>(lag, 25)) / 3);
  CHECK(std::abs(half_life(bent).value_or(0) - 3.0) < 1e-9);
  CHECK(last_fitted(bent) == 20);
  CHECK(last_fitted({bent.begin(), bent.begin() + 5}) == 4);
  bent[3].median = 0;
  CHECK(last_fitted(bent) == 2);
  CHECK_FALSE(half_life(bent));
  GradientTrace trace;
  trace.layers.push_back({"rnn", 0, 0, norms, {}});
  const Findings found = reach_findings("R", {{"model", trace}, {"<other>", trace}});
  CHECK(found.json["networks"].size() == 2);
  CHECK(std::abs(found.json["networks"][0]["half_life"].get<double>() - 3.0) < 1e-9);
  CHECK(findings_html(found).find("<other>") == std::string::npos);
  CHECK(findings_html(found).find("&lt;other&gt;") != std::string::npos);
  CHECK(found.tables[0].rows[0][1] == "dh, layer 0, forward");
  CHECK(found.tables[0].rows[0][3] == "1 to 20");
  CHECK(found.json["networks"][0]["half_life_lags"] == Json({1, 20}));
}

TEST_CASE("the table of gradients has few columns however far back it reaches, and no digits that are lost") {
  GradientTrace trace;
  trace.layers.push_back({"encoder", 1, 0, std::vector(5, std::vector<double>(2001, 1.0)), {}});
  for (auto& norms : trace.layers[0].h) norms[5] = 9e-45;
  const Findings found = reach_findings("R", {{"model", trace}});
  CHECK(found.tables[0].columns.size() == 4 + 11);
  CHECK(found.tables[0].rows[0][1] == "dh, encoder, layer 1, forward");
  CHECK(found.tables[0].rows[0][6] == "<1.2e-38");
}

TEST_CASE("gradients of too few sequences that are long enough are refused with the reason") {
  GradientTrace trace;
  trace.layers.push_back({"rnn", 0, 0, std::vector(9, std::vector<double>{1.0}), {}});
  for (std::size_t i = 0; i < 4; ++i) trace.layers[0].h[i].push_back(0.5);
  CHECK_THROWS_WITH(reach_findings("R", {{"model", trace}}),
                    "--gradient-flow: 4 sequences of two or more steps with a gradient, expected at least 5");
  trace.layers[0].h[4].push_back(0.5);
  CHECK_NOTHROW(reach_findings("R", {{"model", trace}}));
}

TEST_CASE("saturation of a network without gates is refused") {
  Saturation saturation;
  CellTrace trace;
  trace.layers.push_back(small_layer());
  trace.layers[0].series.erase(trace.layers[0].series.begin());
  saturation.add(trace);
  CHECK_THROWS_WITH(saturation.findings("S"), "--saturation: the model's cell has no gates");
}

TEST_CASE("the context that is used is the least from which on more of it does not help") {
  const std::vector<double> good{1.0, 2.0, 1.0, 2.0}, same{1.001, 2.0, 1.0, 2.001}, bad{1.5, 2.6, 1.4, 2.5};
  Findings found = context_findings("C", {{1, bad}, {2, same}, {4, good}, {8, good}});
  CHECK(found.json["used"] == 2);
  CHECK(found.json["places"] == 4);
  CHECK(std::abs(found.json["losses"][0]["above"].get<double>() - 0.5) < 1e-9);
  CHECK(found.notes[0].find("uses the last 2 units") != std::string::npos);
  found = context_findings("C", {{1, bad}, {2, bad}, {4, good}});
  CHECK(found.json["used"] == 4);
  CHECK(found.notes[0].find("still gains") != std::string::npos);
  found = context_findings("C", {{1, {1.0}}, {2, {1.0}}});
  CHECK(found.notes[0].starts_with("At 1 place this model uses the last 1 unit:"));
  CHECK(found.json["losses"][0]["losses"] == Json({1.0}));
  CHECK(found.notes[1].find("+-: the standard error") != std::string::npos);
}

TEST_CASE("a page of gates holds the text escaped and every value rounded, in the order of units") {
  Observed observed;
  CellTrace::Layer& layer = observed.trace.layers.emplace_back();
  layer.network = "rnn";
  layer.series.push_back({"f", true, 2, {0.0f, 1.0f, 0.2f, 0.4f}});
  layer.series.push_back({"h", false, 2, {0.0f, 0.5f, 0.25f, -0.5f}});
  observed.units["rnn"] = {"</script><b>", "\n"};
  const std::string page = gates_html(observed, {}, "<title>");
  CHECK(page.find("</script><b>") == std::string::npos);
  CHECK(page.find("\\u003c/script>\\u003cb>") != std::string::npos);
  CHECK(page.find("&lt;title&gt;") != std::string::npos);
  CHECK(page.find(R"("data":"ADL6ZA==")") != std::string::npos);  // 0 50 250 100
  CHECK(page.find(R"("data":"fbz6AA==")") != std::string::npos);  // 125 188 250 0
  const std::string picture = gates_svg(observed, {std::nullopt, {1}});
  CHECK(picture.find("unit 1") != std::string::npos);
  CHECK(picture.find("unit 0") == std::string::npos);
  CHECK(picture.find("&lt;/script&gt;") != std::string::npos);
}

TEST_CASE("columns of punctuation and of wide characters") {
  CHECK(columns_of("“a…”") == 4);
  CHECK(columns_of("不，한") == 6);
  CHECK(columns_of(shortened("abcdefgh", 5)) == 5);
}

TEST_CASE("a table of gates is no wider than the terminal, however long a word is") {
  Observed observed;
  observed.trace.layers.push_back(small_layer());
  observed.units["rnn"] = {"a", std::string(300, 'x'), "fine", "soup"};
  for (const std::size_t width : {12, 40, 120}) {
    std::vector<Highlight> highlights;
    std::istringstream lines(gates_text(observed, {}, width, highlights));
    for (std::string line; std::getline(lines, line);)
      if (line.find(':') == std::string::npos) CHECK(columns_of(line) <= width);
  }
}

TEST_CASE("gates and states have the same tones in the terminal, in drawings and on pages") {
  Observed observed;
  observed.trace.layers.push_back(small_layer());
  observed.units["rnn"] = {"a", "b", "c", "d"};
  std::vector<Highlight> highlights;
  const std::string text = gates_text(observed, {}, 80, highlights);
  std::map<std::string, std::set<int>> colours;
  for (const Highlight& h : highlights) colours[text.substr(h.begin, h.end - h.begin)].insert(h.colour);
  CHECK(colours["  0.95"] == std::set<int>{kPalette + 30});                   // an open gate
  CHECK(colours["  0.05"].empty());                                           // a closed one
  CHECK(colours[" -0.50"] == std::set<int>{kPalette + 25});                   // the state that is largest
  CHECK(colours["  0.50"] == std::set<int>{kPalette + 116, kPalette + 124});  // a gate and a state
  const std::string picture = gates_svg(observed, {}), page = gates_html(observed, {}, "G");
  for (const char* tone : {"#1a9a8a", "#d6453d", "#3b82c4"}) {
    CHECK(picture.find(tone) != std::string::npos);
    CHECK(page.find(tone) != std::string::npos);
  }
  CHECK(picture.find("gates: 0, closed") != std::string::npos);
  CHECK(page.find(R"("gate":"26,154,138")") != std::string::npos);
}

TEST_CASE("curves beyond the number of colours are dashed") {
  CurveChart chart{"C", {}};
  for (int k = 0; k < 7; ++k) chart.curves.push_back({"", {{0, k}, {1, k}}});
  const std::string drawing = svg_line_chart(chart);
  std::set<std::string> strokes;
  for (std::size_t at = drawing.find("<path d="); at != std::string::npos; at = drawing.find("<path d=", at + 1)) {
    const std::size_t begin = drawing.find("stroke=", at);
    const std::string stroke = drawing.substr(begin, drawing.find("stroke-width", at) - begin);
    if (drawing.find("stroke-linejoin", at) < drawing.find('>', at)) strokes.insert(stroke);
  }
  CHECK(strokes.size() == 7);
}

TEST_CASE("attention over a long text is drawn by each row's largest share") {
  Observed observed;
  observed.attention.push_back({"pooling", {"text"}, std::vector<std::string>(100, "word"), {std::vector(100, 0.01f)}});
  observed.attention[0].shares[0][7] = 0.02f;
  const Findings found = attention_findings(observed, "A");
  CHECK_THAT(found.drawings[0].svg, contains_text(R"(fill-opacity="1.00")"));
  CHECK_THAT(found.drawings[0].svg, contains_text(R"(fill-opacity="0.50")"));
  CHECK_THAT(found.drawings[0].svg, contains_text("<title>0.020</title>"));
  CHECK_THAT(findings_svg(found), contains_text("largest share"));
}

TEST_CASE("units are shown in their text, or joined as words are") {
  const auto shown = [](const std::string& text, const std::vector<std::string>& units, bool blanks) {
    const ColouredText out = coloured_units(text, units, blanks, std::vector<double>(units.size(), 1.0));
    for (std::size_t i = 0; i < units.size(); ++i)
      CHECK(out.text.substr(out.places[i].first, out.places[i].second - out.places[i].first) == units[i]);
    return out.text;
  };
  CHECK(shown("is it  so", {"is", "it", "so"}, true) == "is it  so");
  CHECK(shown("play ing", {"pl", "ay", " ", "ing"}, false) == "play ing");
  CHECK(shown("Is it", {"\n", "is", "it"}, true) == "\nis it");
  CHECK(shown("不好", {"\n", "不", "好"}, false) == "\n不好");
  CHECK(shown("", {"is", "it"}, true) == "is it");
}

TEST_CASE("the text of a finding comes last, and only with colours") {
  Findings found;
  found.coloured = ColouredText{"fine soup", {{0, 4}, {5, 9}}, {1.0, -0.1}};
  found.coloured_note = "Of the colours.";
  found.notes = {"A note."};
  found.tables.push_back({"T", {"a", "b"}, {{"x", "1"}}});
  std::vector<Highlight> highlights;
  CHECK(findings_text(found, false, highlights) == "T\na  b\nx  1\n\nA note.\n");
  CHECK(highlights.empty());
  const std::string text = findings_text(found, true, highlights);
  CHECK(text.ends_with("A note.\n\nOf the colours.\n\nfine soup\n"));
  REQUIRE(highlights.size() == 1);
  CHECK(text.substr(highlights[0].begin, highlights[0].end - highlights[0].begin) == "fine");
}
