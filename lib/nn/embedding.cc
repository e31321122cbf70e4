#include "nn/embedding.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kernels/elementwise.h"
#include "nn/initialise.h"

namespace mnemo {
namespace {

constexpr Index kTokensPerTask = 256;
constexpr Index kGatheredRows = 64;

// Entries of the bags by table row, ascending, and within a row in the batch's order, so the order of a row's gradient
// sum does not depend on the number of threads.
struct Occurrence {
  std::int32_t row, token;
  float weight;
};

std::vector<Occurrence> occurrences(const Bags& bags, Index limit) {
  std::vector<Occurrence> found;
  found.reserve(bags.rows.size());
  for (Index n = 0; n < bags.tokens(); ++n)
    for (std::int32_t e = bags.starts[n]; e < bags.starts[n + 1]; ++e)
      if (bags.rows[e] < limit) found.push_back({bags.rows[e], static_cast<std::int32_t>(n), bags.weights[e]});
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.row < b.row; });
  return found;
}

}  // namespace

std::vector<std::int32_t> distinct_rows(const Bags& bags, Index limit) {
  std::vector<std::int32_t> rows;
  for (std::int32_t row : bags.rows)
    if (row < limit) rows.push_back(row);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

namespace {

// Makes room for the gradients of rows of a sparse table, ascending, beside those that an earlier look-up of the same
// backward pass has left: places[i] is where the gradient of rows[i] lies, fresh[i] whether it must be set to zero.
void make_room(Parameter& table, const std::vector<std::int32_t>& rows, std::vector<Index>& places,
               std::vector<char>& fresh) {
  const Index E = table.row_size();
  std::vector<std::int32_t> all;
  std::ranges::set_union(table.touched, rows, std::back_inserter(all));
  const std::vector<std::int32_t> before = std::exchange(table.touched, all);
  if (before.empty()) {
    table.gradient.resize(std::ssize(all) * E);
  } else {
    AlignedVector gradient;
    gradient.resize(std::ssize(all) * E);
    for (std::size_t i = 0, at = 0; i < before.size(); ++i) {
      while (all[at] != before[i]) ++at;
      std::copy_n(table.gradient.data() + static_cast<Index>(i) * E, E, gradient.data() + static_cast<Index>(at) * E);
    }
    table.gradient = std::move(gradient);
  }
  for (std::size_t i = 0, at = 0, b = 0; i < rows.size(); ++i) {
    while (all[at] != rows[i]) ++at;
    while (b < before.size() && before[b] < rows[i]) ++b;
    places.push_back(static_cast<Index>(at));
    fresh.push_back(b == before.size() || before[b] != rows[i]);
  }
}

}  // namespace

Embedding::Embedding(const std::string& name, Index rows, Index dimension, bool dense)
    : weight(name + ".weight", {rows, dimension}, !dense) {}

void Embedding::initialise(float deviation, std::uint64_t seed) { initialise_normal(weight, deviation, seed); }

const float* Embedding::row(std::int32_t index) const {
  return index < weight.rows() ? weight.value.data() + index * dimension()
                               : frozen_.data() + (index - weight.rows()) * dimension();
}

Activation Embedding::forward(Tape& tape, const Bags& bags) const {
  const Index N = bags.tokens(), E = dimension();
  Activation y = tape.allocate(N, E);
  tape.pool.parallel_for((N + kTokensPerTask - 1) / kTokensPerTask, [&](std::int64_t task) {
    for (Index n = task * kTokensPerTask; n < std::min(N, (task + 1) * kTokensPerTask); ++n) {
      float* out = y.value + n * E;
      std::fill_n(out, E, 0.0f);
      for (std::int32_t e = bags.starts[n]; e < bags.starts[n + 1]; ++e)
        kernels::add_scaled(bags.weights[e], row(bags.rows[e]), out, E);
    }
  });
  if (weight.frozen) return y;
  tape.record([this, &tape, &bags, y, E] {
    Parameter& table = Tape::trained(weight);
    auto found = occurrences(bags, table.rows());
    if (!table.fixed_rows.empty())
      std::erase_if(found, [&](const auto& occurrence) { return table.fixed_rows[occurrence.row] != 0; });
    std::vector<std::size_t> starts;
    std::vector<std::int32_t> rows;
    for (std::size_t i = 0; i < found.size(); ++i)
      if (i == 0 || found[i].row != found[i - 1].row) {
        rows.push_back(found[i].row);
        starts.push_back(i);
      }
    starts.push_back(found.size());
    std::vector<Index> places;
    std::vector<char> fresh;
    if (table.sparse)
      make_room(table, rows, places, fresh);
    else
      places.assign(rows.begin(), rows.end());
    const Index count = std::ssize(rows);
    tape.pool.parallel_for((count + kGatheredRows - 1) / kGatheredRows, [&](std::int64_t task) {
      for (Index r = task * kGatheredRows; r < std::min(count, (task + 1) * kGatheredRows); ++r) {
        float* gradient = table.gradient.data() + places[r] * E;
        if (table.sparse && fresh[r]) std::fill_n(gradient, E, 0.0f);
        for (std::size_t i = starts[r]; i < starts[r + 1]; ++i)
          kernels::add_scaled(found[i].weight, y.gradient + found[i].token * E, gradient, E);
      }
    });
  });
  return y;
}

}  // namespace mnemo
