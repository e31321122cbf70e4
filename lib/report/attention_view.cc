#include "report/attention_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "report/gates.h"
#include "report/svg.h"
#include "text/html.h"

namespace mnemo {
namespace {

// The columns that got most of a row, with their shares.
std::string most_attended(const AttentionMatrix& matrix, std::size_t row) {
  constexpr std::size_t kShown = 3;
  std::vector<std::size_t> order(matrix.columns.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::vector<float>& shares = matrix.shares[row];
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return shares[a] > shares[b]; });
  std::string out;
  for (std::size_t k = 0; k < std::min(kShown, order.size()); ++k)
    out += fmt::format("{}{} {:.2f}", k == 0 ? "" : ", ", shown_unit(matrix.columns[order[k]]), shares[order[k]]);
  return out;
}

std::vector<std::string> shown_units(const std::vector<std::string>& units) {
  std::vector<std::string> out;
  out.reserve(units.size());
  for (const std::string& unit : units) out.push_back(shown_unit(unit));
  return out;
}

}  // namespace

Findings attention_findings(const Observed& observed, const std::string& title) {
  if (observed.attention.empty())
    throw UsageError(
        "--attention: the model has none; translators have, classifiers with model.pooling attention, and "
        "models with model.self_attention");
  Findings out;
  out.title = title;
  out.data = {"", {"name", "row", "unit", "column", "attended", "share"}, {}};
  out.json = {{"attention", Json::array()}};
  for (const AttentionMatrix& matrix : observed.attention) {
    Findings::Table table{"What the " + matrix.name + " attends to", {matrix.name, "most to"}, {}};
    for (std::size_t i = 0; i < matrix.rows.size(); ++i) {
      table.rows.push_back({shown_unit(matrix.rows[i]), most_attended(matrix, i)});
      for (std::size_t j = 0; j < matrix.columns.size(); ++j)
        out.data.rows.push_back({matrix.name, fmt::to_string(i), matrix.rows[i], fmt::to_string(j), matrix.columns[j],
                                 fmt::format("{:.6f}", matrix.shares[i][j])});
    }
    out.tables.push_back(std::move(table));
    out.json["attention"].push_back(
        {{"name", matrix.name}, {"rows", matrix.rows}, {"columns", matrix.columns}, {"shares", matrix.shares}});
    out.drawings.push_back(svg_weights(matrix.name + ": the darkest of a row is its largest share",
                                       shown_units(matrix.rows), shown_units(matrix.columns), matrix.shares));
  }
  return out;
}

}  // namespace mnemo
