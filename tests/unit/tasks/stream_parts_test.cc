#include "tasks/generate/stream_parts.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "tests/catch.h"

using namespace mnemo;

namespace {

constexpr std::int32_t kEnd = -7;

// A text whose unit i is i.
void read_numbers(std::int64_t first, std::span<std::int32_t> out) {
  std::iota(out.begin(), out.end(), static_cast<std::int32_t>(first));
}

// The targets of each part in order, over all batches; `before` gets the unit that was read before each.
std::vector<std::vector<std::int32_t>> targets_of(const StreamParts& parts, std::vector<std::int32_t>& before) {
  std::vector<std::vector<std::int32_t>> out(static_cast<std::size_t>(parts.parts()));
  before.clear();
  for (std::int64_t batch = 0; batch < parts.batches(); ++batch) {
    const StreamParts::Rows rows = parts.rows(batch, {0, parts.parts()}, read_numbers, kEnd);
    for (Index b = 0; b < rows.packing.sequences(); ++b)
      for (Index t = 0; t < rows.packing.length(b); ++t) {
        const auto row = static_cast<std::size_t>(rows.packing.row(b, t));
        out[static_cast<std::size_t>(rows.packing.original(b))].push_back(rows.targets[row]);
        before.push_back(rows.ids[row]);
      }
  }
  return out;
}

}  // namespace

TEST_CASE("parts of a stream: every unit once, wherever the text begins, each after the one before it") {
  for (const auto& [units, count, steps] : {std::tuple{23, 4, 3}, {23, 1, 50}, {3, 8, 2}, {1, 2, 1}, {24, 4, 6}}) {
    std::set<std::vector<std::int32_t>> beginnings;
    for (std::int32_t offset = 0; offset < units; ++offset) {
      INFO(units << " units in " << count << " parts, from unit " << offset);
      StreamParts parts(units, count, steps);
      parts.rotate(offset);
      REQUIRE(parts.parts() == std::min(count, units));
      std::vector<std::int32_t> before, all, first;
      for (const auto& part : targets_of(parts, before)) {
        CHECK(std::ssize(part) >= units / parts.parts());
        first.push_back(part.front());
        all.insert(all.end(), part.begin(), part.end());
      }
      // Part after part, the text from `offset` on.
      for (std::int32_t i = 0; i < units; ++i) CHECK(all[static_cast<std::size_t>(i)] == (offset + i) % units);
      std::vector<std::int32_t> expected;
      for (std::int32_t i = 0; i < units; ++i)
        expected.push_back(i == 0 && offset == 0 ? kEnd : (i + units - 1) % units);
      std::ranges::sort(before);
      std::ranges::sort(expected);
      CHECK(before == expected);
      beginnings.insert(first);
    }
    CHECK(std::ssize(beginnings) == units);
  }
}
