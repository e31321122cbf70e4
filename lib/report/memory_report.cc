#include "report/memory_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "report/append.h"
#include "report/html_report.h"
#include "report/svg.h"
#include "text/html.h"
#include "text/html_page.h"

namespace mnemo {
namespace {

constexpr std::string_view kMemoryStyle = R"css(
body { max-width: 64rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1.25rem 0 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; }
code { overflow-wrap: anywhere; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
figcaption { font-weight: 600; }
)css";

// The runs of one problem, cell and length.
using MemoryGroup = std::span<const MemoryResult>;

std::vector<MemoryGroup> memory_groups(const std::vector<MemoryResult>& results) {
  std::vector<MemoryGroup> out;
  for (std::size_t begin = 0, end = 0; begin < results.size(); begin = end) {
    const auto same = [&](const MemoryResult& r) {
      return r.problem == results[begin].problem && r.cell == results[begin].cell && r.length == results[begin].length;
    };
    for (end = begin; end < results.size() && same(results[end]);) ++end;
    out.push_back(MemoryGroup(results).subspan(begin, end - begin));
  }
  return out;
}

const std::string& problem_name(const MemoryResult& result) {
  return memory_problem_names()[static_cast<std::size_t>(result.problem)];
}

// The middle value, of an even number the mean of both; NaN counts as the largest.
double median_of(std::vector<double> values) {
  for (double& value : values)
    if (std::isnan(value)) value = INFINITY;
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

constexpr std::size_t kColumns = 7;
using MemoryCells = std::array<std::string, kColumns>;

const MemoryCells kMemoryHead{"problem", "cell", "length", "solved", "after steps", "loss / baseline", "right"};

MemoryCells memory_cells(MemoryGroup group) {
  std::vector<double> losses, rights;
  std::string steps;
  std::int64_t solved = 0;
  for (const MemoryResult& result : group) {
    losses.push_back(result.run.loss);
    rights.push_back(result.run.right);
    solved += result.run.solved ? 1 : 0;
    append(steps, "{}{}", steps.empty() ? "" : " ",
           result.run.solved     ? fmt::to_string(*result.run.solved)
           : result.run.diverged ? "diverged"
                                 : "-");
  }
  const double loss = median_of(losses);
  return {problem_name(group.front()),
          group.front().cell,
          fmt::to_string(group.front().length),
          fmt::format("{} of {}", solved, group.size()),
          steps,
          std::isfinite(loss) ? fmt::format("{:.4f}", loss) : "-",
          fmt::format("{:.4f}", median_of(rights))};
}

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

std::string setting_text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

void add_memory_row(std::string& out, const MemoryCells& cells, std::string_view tag) {
  out += "<tr>";
  for (const std::string& cell : cells) append(out, "<{0}>{1}</{0}>", tag, escape_html(cell));
  out += "</tr>\n";
}

CurveChart memory_chart(MemoryGroup group) {
  CurveChart chart;
  chart.title = fmt::format("{}, {}, length {}", problem_name(group.front()), group.front().cell, group.front().length);
  for (const MemoryResult& result : group) {
    const std::string end = result.run.solved     ? fmt::format("solved after {} steps", *result.run.solved)
                            : result.run.diverged ? fmt::format("diverged after {} steps", result.run.steps)
                                                  : fmt::format("not solved in {} steps", result.run.steps);
    chart.curves.push_back({fmt::format("seed {}, {}", result.seed, end), result.run.curve});
  }
  return chart;
}

}  // namespace

std::string memory_table(const MemoryReport& report) {
  std::vector<MemoryCells> rows{kMemoryHead};
  for (const MemoryGroup group : memory_groups(report.results)) rows.push_back(memory_cells(group));
  std::array<std::size_t, kColumns> widths{};
  for (const MemoryCells& row : rows)
    for (std::size_t c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], row[c].size());
  std::string out;
  for (const MemoryCells& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < kColumns; ++c)
      if (c < 2 || c == 4)
        append(line, "{:<{}}  ", row[c], widths[c]);
      else
        append(line, "{:>{}}  ", row[c], widths[c]);
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

Json memory_json(const MemoryReport& report) {
  Json settings = Json::object(), runs = Json::array();
  for (const auto& [name, value] : report.settings) settings[name] = value;
  for (const MemoryResult& result : report.results) {
    const MemoryRun& run = result.run;
    const double baseline = memory_baseline(result.problem, result.length);
    Json curve = Json::array();
    for (const auto& [step, loss] : run.curve) curve.push_back({static_cast<std::int64_t>(step), loss});
    runs.push_back({{"problem", problem_name(result)},
                    {"cell", result.cell},
                    {"length", result.length},
                    {"seed", result.seed},
                    {"baseline", baseline},
                    {"solved", run.solved ? Json(*run.solved) : Json()},
                    {"steps", run.steps},
                    {"diverged", run.diverged},
                    {"loss", finite_or_null(run.loss * baseline)},
                    {"loss_over_baseline", finite_or_null(run.loss)},
                    {"right", run.right},
                    {"curve", std::move(curve)}});
  }
  return {{"settings", std::move(settings)}, {"runs", std::move(runs)}};
}

std::string memory_page(const MemoryReport& report) {
  std::string body;
  append(
      body,
      "<p>Loss on sequences that were never seen before, as a multiple of the baseline: 1 is the loss of the best "
      "answer that remembers nothing. A problem is solved once {} sequences in a row were answered right, each before "
      "it was trained on; training then ends.</p>\n",
      kSolvedAfter);
  append(body, "<p><code>{}</code></p>\n<dl>", escape_html(report.command));
  for (const auto& [name, value] : report.settings)
    append(body, "<dt>{}</dt><dd>{}</dd>", escape_html(name), escape_html(setting_text(value)));
  append(body,
         "</dl>\n<h2>Results</h2>\n<p>Loss and fraction right are medians over the seeds, on {} sequences after "
         "training.</p>\n<div class=\"scroll\"><table><thead>",
         kCheckSequences);
  add_memory_row(body, kMemoryHead, "th");
  body += "</thead><tbody>\n";
  const std::vector<MemoryGroup> groups = memory_groups(report.results);
  for (const MemoryGroup group : groups) add_memory_row(body, memory_cells(group), "td");
  body += "</tbody></table></div>\n<h2>Curves</h2>\n<div class=\"charts\">\n";
  for (const MemoryGroup group : groups) {
    const CurveChart chart = memory_chart(group);
    if (const std::string drawing = svg_line_chart(chart); !drawing.empty())
      append(body, "<figure><figcaption>{}</figcaption>{}</figure>\n", escape_html(chart.title), drawing);
  }
  body += "</div>\n";
  return page_head({.title = "Memory problems", .style = kMemoryStyle}) + "<h1>Memory problems</h1>\n" + body +
         std::string(kPageEnd);
}

}  // namespace mnemo
