// Every kernel against its double-precision twin, on every instruction set, at sizes that straddle tiles and vectors;
// and the bits that must not depend on grouping.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/random.h"
#include "kernels/activations.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/layer_norm.h"
#include "kernels/product.h"
#include "kernels/softmax.h"
#include "kernels/targets.h"
#include "nn/cell.h"
#include "tests/catch.h"
#include "tests/reference/cells.h"
#include "tests/reference/every_target.h"
#include "tests/reference/matmul.h"
#include "tests/reference/optimizers.h"

using namespace mnemo;
using namespace mnemo::kernels;

namespace {

const std::vector<Index> kSizes{1, 2, 7, 13, 16, 17, 31, 33, 200};

std::vector<float> random_values(Index count, std::uint64_t stream, double scale = 1.0) {
  RandomStream random(11, Purpose::kTest, stream);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(scale * random.normal());
  return out;
}

// The same, with AVX-512 also without its low-precision products, as on older processors.
template <class Body>
void on_every_path(const Body& body) {
  on_every_target(body);
  use_target(available_targets().front(), NarrowProducts::kNone);
  INFO("without low-precision products");
  body();
  use_target(available_targets().front());
}

// With the processor's products of bfloat16, by vectors and, if it has them, by tiles.
template <class Body>
void on_every_bfloat16_path(const Body& body) {
  if (!no_bfloat16_products().empty()) {
    WARN("skipped: " << no_bfloat16_products());
    return;
  }
  if (!bfloat16_tiles()) WARN("no tiles (AMX) here: only vectors are tested");
  for (const NarrowProducts narrow : {NarrowProducts::kVectors, NarrowProducts::kTiles}) {
    use_target(available_targets().front(), narrow);
    INFO((bfloat16_tiles() ? "tiles" : "vectors"));
    body();
  }
}

// The header's bound for one element: kProductUlp units of the sum of magnitudes, times sqrt(k).
bool within_bound(float found, double exact, double magnitude, Index k) {
  const double unit = static_cast<double>(std::numeric_limits<float>::epsilon()) / 2;
  return std::abs(static_cast<double>(found) - exact) <=
         kProductUlp * unit * std::sqrt(static_cast<double>(k) + 1.0) * magnitude + 1e-37;
}

// c = start + a b, each element of it.
bool product_within_bound(Index m, Index k, Index n, const std::vector<float>& a, const std::vector<float>& b,
                          bool transposed, Start start, const std::vector<float>& bias,
                          const std::vector<float>& before, const std::vector<float>& c) {
  bool good = true;
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      const double first = start == Start::kBias     ? static_cast<double>(bias[j])
                           : start == Start::kResult ? static_cast<double>(before[i * n + j])
                                                     : 0.0;
      double exact = first, magnitude = std::abs(first);
      for (Index x = 0; x < k; ++x) {
        const double term =
            static_cast<double>(a[i * k + x]) * static_cast<double>(transposed ? b[j * k + x] : b[x * n + j]);
        exact += term;
        magnitude += std::abs(term);
      }
      good = good && within_bound(c[i * n + j], exact, magnitude, k);
    }
  return good;
}

void check_product(ThreadPool& pool, Index m, Index k, Index n, bool transposed, Start start) {
  const auto a = random_values(m * k, 1), b = random_values(k * n, 2), bias = random_values(n, 3);
  auto c = random_values(m * n, 4);
  const auto before = c;
  PackedMatrix packed;
  pack(pool, b.data(), transposed ? k : n, transposed, k, n, packed);
  const Product product{m, a.data(), k, &packed, start, bias.data(), c.data(), n};
  multiply(pool, {&product, 1});
  INFO("m " << m << " k " << k << " n " << n << " transposed " << transposed << " start " << static_cast<int>(start));
  CHECK(product_within_bound(m, k, n, a, b, transposed, start, bias, before, c));
}

}  // namespace

TEST_CASE("products keep the header's error bound at ragged sizes") {
  on_every_target([] {
    ThreadPool pool(2);
    for (Index m : kSizes)
      for (Index k : {Index{1}, Index{7}, Index{33}, Index{200}})
        for (Index n : {Index{1}, Index{7}, Index{16}, Index{33}, Index{65}, Index{200}})
          check_product(pool, m, k, n, (m + n) % 2 == 0, static_cast<Start>((m + k + n) % 3));
  });
}

TEST_CASE("a row's product has the same bits alone, in any group of rows and for any number of threads") {
  on_every_target([] {
    const Index k = 77, n = 150, rows = 131;
    const auto a = random_values(rows * k, 1), b = random_values(k * n, 2), bias = random_values(n, 3);
    ThreadPool one(1), three(3);
    PackedMatrix packed;
    pack(one, b.data(), n, false, k, n, packed);
    std::vector<float> whole(rows * n), threaded(rows * n), alone(n);
    multiply_rows(rows, a.data(), k, packed, 0, packed.panels(), Start::kBias, bias.data(), whole.data(), n);
    const Product product{rows, a.data(), k, &packed, Start::kBias, bias.data(), threaded.data(), n};
    multiply(three, {&product, 1});
    CHECK(whole == threaded);
    for (Index group : {1, 2, 3, 4, 5, 6, 11, 12, 13}) {
      std::vector<float> part(group * n);
      multiply_rows(group, a.data() + 5 * k, k, packed, 0, packed.panels(), Start::kBias, bias.data(), part.data(), n);
      INFO("group of " << group);
      CHECK(std::equal(part.begin(), part.end(), whole.begin() + 5 * n));
    }
  });
}

TEST_CASE("transposed products and their column sums against double precision") {
  on_every_target([] {
    ThreadPool pool(2);
    for (Index rows : {Index{1}, Index{7}, Index{255}, Index{257}, Index{600}})
      for (Index m : {Index{1}, Index{12}, Index{13}, Index{100}})
        for (Index n : {Index{1}, Index{16}, Index{33}, Index{70}}) {
          const auto a = random_values(rows * m, 1), b = random_values(rows * n, 2);
          auto c = random_values(m * n, 3), sum = random_values(m, 4);
          const auto c_before = c, sum_before = sum;
          // Rows by pointer, as for the gradient of recurrent weights.
          std::vector<const float*> pointers;
          for (Index r = 0; r < rows; ++r) pointers.push_back(b.data() + r * n);
          AlignedVector scratch;
          // Two at once, the second without column sums.
          auto again = c;
          const TransposedProduct::Right right{.n = n,
                                               .b = rows % 2 ? b.data() : nullptr,
                                               .ldb = n,
                                               .b_rows = rows % 2 ? nullptr : pointers.data(),
                                               .c = c.data(),
                                               .ldc = n};
          TransposedProduct products[2] = {
              {.rows = rows, .m = m, .a = a.data(), .lda = m, .right = {right, {}}, .a_sum = sum.data()},
              {.rows = rows, .m = m, .a = a.data(), .lda = m, .right = {right, {}}, .a_sum = nullptr}};
          products[1].right[0].c = again.data();
          // A second one beside it, whose columns share a panel with the first's, changes nothing.
          std::vector<float> beside = c, other(m * 21, 1.0f), other_alone = other;
          const auto b2 = random_values(rows * 21, 5);
          TransposedProduct pair = products[1], alone = pair;
          pair.right[0].c = beside.data();
          pair.right[1] = {.n = 21, .b = b2.data(), .ldb = 21, .b_rows = nullptr, .c = other.data(), .ldc = 21};
          alone.right[0] = pair.right[1];
          alone.right[0].c = other_alone.data();
          multiply_transposed(pool, {&pair, 1}, scratch);
          multiply_transposed(pool, {&alone, 1}, scratch);
          CHECK(other == other_alone);
          multiply_transposed(pool, products, scratch);
          INFO("rows " << rows << " m " << m << " n " << n);
          bool good = true;
          for (Index i = 0; i < m; ++i) {
            double total = static_cast<double>(sum_before[i]), total_magnitude = std::abs(total);
            for (Index r = 0; r < rows; ++r) {
              total += static_cast<double>(a[r * m + i]);
              total_magnitude += std::abs(static_cast<double>(a[r * m + i]));
            }
            good = good && within_bound(sum[i], total, total_magnitude, rows);
            for (Index j = 0; j < n; ++j) {
              double exact = static_cast<double>(c_before[i * n + j]), magnitude = std::abs(exact);
              for (Index r = 0; r < rows; ++r) {
                const double term = static_cast<double>(a[r * m + i]) * static_cast<double>(b[r * n + j]);
                exact += term;
                magnitude += std::abs(term);
              }
              good = good && within_bound(c[i * n + j], exact, magnitude, rows);
            }
          }
          CHECK(good);
          CHECK(again == c);
          CHECK(beside == c);
        }
  });
}

// A product of random factors, checked to be within its bound of that of the rounded ones, with the bits of each row
// alone.
std::vector<float> checked_bfloat16_product(ThreadPool& pool, Index m, Index k, Index n, Precision precision) {
  const auto start = static_cast<Start>((m + k + n) % 3);
  const bool transposed = (m + n) % 2 == 0;
  auto a = random_values(m * k, 1), b = random_values(k * n, 2);
  const auto bias = random_values(n, 3);
  PackedMatrix packed;
  pack(pool, b.data(), transposed ? k : n, transposed, k, n, packed, precision);
  auto c = random_values(m * n, 4), alone = c;
  const auto before = c;
  multiply_rows(m, a.data(), k, packed, 0, packed.panels(), start, bias.data(), c.data(), n);
  for (Index i = 0; i < m; ++i)
    multiply_rows(1, a.data() + i * k, k, packed, 0, packed.panels(), start, bias.data(), alone.data() + i * n, n);
  for (float& value : b) value = round_to_bfloat16(value);
  for (float& value : a)
    if (precision == Precision::kBfloat16) value = round_to_bfloat16(value);
  INFO("m " << m << " k " << k << " n " << n);
  CHECK(c == alone);
  CHECK(product_within_bound(m, k, n, a, b, transposed, start, bias, before, c));
  return c;
}

TEST_CASE(
    "products of bfloat16 weights keep the error bound and have the same bits in any group of rows, on any path") {
  std::vector<std::vector<float>> results;
  on_every_path([&] {
    ThreadPool pool(2);
    std::vector<float> all;
    for (Index m : {Index{1}, Index{5}, Index{13}, Index{50}})
      for (Index k : {Index{1}, Index{2}, Index{33}, Index{200}})
        for (Index n : {Index{1}, Index{16}, Index{33}, Index{200}}) {
          const auto c = checked_bfloat16_product(pool, m, k, n, Precision::kBfloat16Weights);
          all.insert(all.end(), c.begin(), c.end());
        }
    results.push_back(all);
  });
  // The scalar path rounds products before adding, unless the processor's baseline fuses them.
  CHECK(results.back() == results.front());
  for (std::size_t i = 0; i < available_targets().size(); ++i)
    if (available_targets()[i] != "scalar") CHECK(results[i] == results.front());
}

TEST_CASE("products of bfloat16 keep the error bound of their rounded factors") {
  on_every_bfloat16_path([] {
    ThreadPool pool(2);
    for (Index m : {Index{1}, Index{5}, Index{13}, Index{50}, Index{64}})
      for (Index k : {Index{1}, Index{2}, Index{31}, Index{33}, Index{200}})
        for (Index n : {Index{1}, Index{16}, Index{33}, Index{200}})
          checked_bfloat16_product(pool, m, k, n, Precision::kBfloat16);
  });
}

TEST_CASE("transposed products of bfloat16 against double precision of the rounded factors") {
  on_every_bfloat16_path([] {
    ThreadPool pool(2);
    for (Index rows : {Index{1}, Index{7}, Index{512}, Index{513}, Index{1201}})
      for (Index m : {Index{1}, Index{12}, Index{33}, Index{100}})
        for (Index n : {Index{1}, Index{33}, Index{70}}) {
          auto a = random_values(rows * m, 1), b = random_values(rows * n, 2), other = random_values(rows * 21, 5);
          auto c = random_values(m * n, 3), beside = std::vector<float>(m * 21, 1.0f);
          std::vector<float> sum(m, 0.0f);
          const auto before = c;
          AlignedVector scratch;
          const TransposedProduct product{
              .rows = rows,
              .m = m,
              .a = a.data(),
              .lda = m,
              .right = {{.n = n, .b = b.data(), .ldb = n, .b_rows = nullptr, .c = c.data(), .ldc = n},
                        {.n = 21, .b = other.data(), .ldb = 21, .b_rows = nullptr, .c = beside.data(), .ldc = 21}},
              .a_sum = sum.data()};
          multiply_transposed(pool, {&product, 1}, scratch, Precision::kBfloat16);
          std::vector<float> at(m * rows);
          for (Index r = 0; r < rows; ++r)
            for (Index i = 0; i < m; ++i) {
              sum[i] -= a[r * m + i];
              at[i * rows + r] = round_to_bfloat16(a[r * m + i]);
            }
          for (auto* factor : {&b, &other})
            for (float& value : *factor) value = round_to_bfloat16(value);
          INFO("rows " << rows << " m " << m << " n " << n);
          CHECK(product_within_bound(m, rows, n, at, b, false, Start::kResult, {}, before, c));
          CHECK(product_within_bound(m, rows, 21, at, other, false, Start::kResult, {},
                                     std::vector<float>(m * 21, 1.0f), beside));
          // Column sums use the unrounded values.
          for (float value : sum) CHECK(std::abs(value) < 1e-3f);
        }
  });
}

TEST_CASE("integer products are the same to the bit on every path, and exact") {
  on_every_path([] {
    ThreadPool pool(2);
    for (Index m : {Index{1}, Index{5}, Index{13}, Index{50}})
      for (Index k : {Index{1}, Index{3}, Index{33}, Index{200}, Index{1030}})
        for (Index n : {Index{1}, Index{16}, Index{33}, Index{200}}) {
          // Integers up to 127 as values: every scale is 1, and every sum below 2^24 exact as a float.
          RandomStream random(3, Purpose::kTest, m * 7919 + k * 31 + n);
          std::vector<float> a(m * k), b(n * k);
          for (auto* values : {&a, &b})
            for (float& value : *values) value = std::round(static_cast<float>(random.uniform() * 254.0 - 127.0));
          for (Index i = 0; i < m; ++i) a[i * k] = i % 2 ? 127.0f : -127.0f;
          for (Index j = 0; j < n; ++j) b[j * k] = j % 2 ? -127.0f : 127.0f;
          PackedMatrix packed;
          pack(pool, b.data(), k, true, k, n, packed, Precision::kInt8);
          std::vector<float> c(m * n, 0.25f);
          multiply_rows(m, a.data(), k, packed, 0, packed.panels(), Start::kZero, nullptr, c.data(), n);
          bool same = true;
          for (Index i = 0; i < m; ++i)
            for (Index j = 0; j < n; ++j) {
              std::int64_t exact = 0;
              for (Index x = 0; x < k; ++x)
                exact += static_cast<std::int64_t>(a[i * k + x]) * static_cast<std::int64_t>(b[j * k + x]);
              same = same && c[i * n + j] == static_cast<float>(exact);
            }
          INFO("m " << m << " k " << k << " n " << n);
          CHECK(same);
        }
  });
}

TEST_CASE(
    "int8 products are near those of their factors, in any group of rows, and values that are not finite stay so") {
  on_every_path([] {
    ThreadPool pool(2);
    const Index m = 21, k = 77, n = 45;
    auto a = random_values(m * k, 1);
    const auto b = random_values(k * n, 2), bias = random_values(n, 3);
    std::fill_n(a.begin() + 3 * k, k, 0.0f);
    PackedMatrix packed;
    pack(pool, b.data(), n, false, k, n, packed, Precision::kInt8);
    for (const Start start : {Start::kZero, Start::kBias, Start::kResult}) {
      auto c = random_values(m * n, 4), alone = c;
      const auto before = c;
      multiply_rows(m, a.data(), k, packed, 0, packed.panels(), start, bias.data(), c.data(), n);
      for (Index i = 0; i < m; ++i)
        multiply_rows(1, a.data() + i * k, k, packed, 0, packed.panels(), start, bias.data(), alone.data() + i * n, n);
      CHECK(c == alone);
      for (Index i = 0; i < m; ++i) {
        float largest = 0.0f;
        for (Index x = 0; x < k; ++x) largest = std::max(largest, std::abs(a[i * k + x]));
        for (Index j = 0; j < n; ++j) {
          float column = 0.0f;
          for (Index x = 0; x < k; ++x) column = std::max(column, std::abs(b[x * n + j]));
          double exact = start == Start::kBias ? bias[j] : start == Start::kResult ? before[i * n + j] : 0.0;
          double sum = 0.0;
          for (Index x = 0; x < k; ++x) sum += double{a[i * k + x]} * double{b[x * n + j]};
          // Each factor is off by at most half a step of its scale.
          double bound = 1e-4;
          for (Index x = 0; x < k; ++x)
            bound += std::abs(double{a[i * k + x]}) * column / 254.0 +
                     std::abs(double{b[x * n + j]}) * largest / 254.0 + double{column} * largest / 254.0 / 254.0;
          REQUIRE(std::abs(c[i * n + j] - exact - sum) <= bound);
        }
      }
    }
    for (const float strange : {std::numeric_limits<float>::quiet_NaN(), INFINITY, -INFINITY}) {
      a[5 * k + 9] = strange;
      std::vector<float> c(m * n);
      multiply_rows(m, a.data(), k, packed, 0, packed.panels(), Start::kZero, nullptr, c.data(), n);
      for (Index j = 0; j < n; ++j) CHECK_FALSE(std::isfinite(c[5 * n + j]));
      CHECK(std::isfinite(c[4 * n]));
      auto weights = b;
      weights[7 * n + 2] = strange;
      PackedMatrix damaged;
      pack(pool, weights.data(), n, false, k, n, damaged, Precision::kInt8);
      multiply_rows(4, a.data(), k, damaged, 0, damaged.panels(), Start::kZero, nullptr, c.data(), n);
      CHECK_FALSE(std::isfinite(c[2]));
      CHECK(std::isfinite(c[3]));
    }
  });
}

TEST_CASE("scales and integers of int8 are recovered from the values they represent") {
  RandomStream random(3, Purpose::kTest, 77);
  for (int round = 0; round < 2000; ++round) {
    const auto largest = static_cast<float>(std::exp(random.normal() * 8.0));
    const float scale = int8_scale(largest);
    CHECK(int8_value(largest, scale) == 127);
    CHECK(int8_value(-largest, scale) == -127);
    CHECK(int8_scale(127.0f * scale) == scale);
    const auto integer = static_cast<std::int8_t>(round % 255 - 127);
    CHECK(int8_value(static_cast<float>(integer) * scale, scale) == integer);
  }
  CHECK(int8_scale(0.0f) == 0.0f);
  CHECK(int8_scale(1e-39f) == 0.0f);
  CHECK(int8_value(3.0f, 0.0f) == 0);
}

TEST_CASE("packed int8 holds the integers of each value and the sum of each column, for any size and side") {
  on_every_target([] {
    ThreadPool pool(1);
    for (const auto& [k, n] : std::vector<std::pair<Index, Index>>{{1, 1}, {3, 70}, {17, 5}, {64, 32}, {131, 33}}) {
      auto b = random_values(k * n, 5);
      for (Index i = 0; i < k; ++i) b[i * n] = 0.0f;  // a column without a scale
      std::vector<float> turned(k * n);
      for (Index i = 0; i < k; ++i)
        for (Index j = 0; j < n; ++j) turned[j * k + i] = b[i * n + j];
      PackedMatrix rows, columns;
      pack(pool, b.data(), n, false, k, n, rows, Precision::kInt8);
      pack(pool, turned.data(), k, true, k, n, columns, Precision::kInt8);
      std::vector<std::int8_t> integers(k);
      std::vector<float> widened(k);
      for (Index j = 0; j < n; ++j) {
        float largest = 0.0f;
        for (Index i = 0; i < k; ++i) largest = std::max(largest, std::abs(turned[j * k + i]));
        CHECK(largest_magnitude(turned.data() + j * k, k) == largest);
        const float scale = int8_scale(largest);
        CHECK(columns.scales.data()[j] == scale);
        std::int32_t sum = 0;
        for (Index i = 0; i < k; ++i) {
          const std::int8_t integer = integers[i] = int8_value(turned[j * k + i], scale);
          const auto* panel = reinterpret_cast<const std::int8_t*>(columns.panel(j / columns.width));
          CHECK(panel[(i / 4 * columns.width + j % columns.width) * 4 + i % 4] == integer);
          sum += integer;
        }
        CHECK(columns.offsets[j] == -128 * sum);
        CHECK(widen_int8(integers.data(), k, scale, widened.data()));
        for (Index i = 0; i < k; ++i) CHECK(widened[i] == static_cast<float>(integers[i]) * scale);
        integers[k - 1] = -128;
        CHECK_FALSE(widen_int8(integers.data(), k, scale, widened.data()));
      }
      const std::size_t bytes = columns.panels() * columns.panel_rows() * columns.width * sizeof(float);
      CHECK(std::memcmp(rows.data.data(), columns.data.data(), bytes) == 0);
      CHECK(rows.offsets == columns.offsets);
    }
  });
}

TEST_CASE("bfloat16 rounds to nearest, ties to even, and values that are not finite stay so") {
  CHECK(round_to_bfloat16(1.0f) == 1.0f);
  CHECK(round_to_bfloat16(1.0f + 0x1p-8f) == 1.0f);
  CHECK(round_to_bfloat16(1.0f + 0x1p-7f + 0x1p-8f) == 1.0f + 0x1p-6f);
  CHECK(round_to_bfloat16(-1.0f - 0x1.01p-8f) == -1.0f - 0x1p-7f);
  CHECK(round_to_bfloat16(INFINITY) == INFINITY);
  CHECK(std::isnan(round_to_bfloat16(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(round_to_bfloat16(std::bit_cast<float>(0x7fffffffU))));
}

TEST_CASE("rounding rows to bfloat16 is that of single values, and halves hold what is rounded") {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> values{0.0f, -0.0f, 1.00390625f, 1.01171875f, -1.00390625f, 3.4e38f, inf, -inf, 1e-40f};
  RandomStream random(1, Purpose::kTest);
  for (int i = 0; i < 60; ++i) values.push_back(static_cast<float>(random.normal()));
  for (const Index count : {1, 7, 16, 33, 69}) {
    std::vector<float> rounded(values.begin(), values.begin() + count), back(count);
    kernels::round_to_bfloat16(rounded.data(), count);
    std::vector<std::uint16_t> halves(count);
    kernels::take_halves(rounded.data(), halves.data(), count);
    kernels::from_halves(halves.data(), back.data(), count);
    for (Index i = 0; i < count; ++i) {
      INFO(values[i]);
      const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
      CHECK(bits(rounded[i]) == bits(kernels::round_to_bfloat16(values[i])));
      CHECK(bits(back[i]) == bits(rounded[i]));
    }
  }
  for (const std::uint32_t bits : {0x7fffffffU, 0xffffffffU, 0x7f800001U}) {
    float nan = std::bit_cast<float>(bits);
    kernels::round_to_bfloat16(&nan, 1);
    CHECK(std::isnan(nan));
    CHECK((std::bit_cast<std::uint32_t>(nan) & 0xffffU) == 0);
  }
}

TEST_CASE("int8 refuses sums that could overflow") {
  ThreadPool pool(1);
  const std::vector<float> b(kLargestInt8Sum + 1);
  PackedMatrix packed;
  CHECK_THROWS_WITH(pack(pool, b.data(), 1, false, kLargestInt8Sum + 1, 1, packed, Precision::kInt8),
                    contains_text("at most 65536"));
}

TEST_CASE("a running maximum keeps the first row with the largest value") {
  on_every_target([] {
    for (Index count : {1, 7, 16, 17, 200}) {
      std::vector<float> largest(count, -INFINITY), expected(count, -INFINITY);
      std::vector<std::int32_t> at(count, -1), expected_at(count, -1);
      for (std::int32_t row = 0; row < 9; ++row) {
        auto x = random_values(count, 10 + row % 7);  // the last two rows repeat the first two
        running_max(x.data(), row, largest.data(), at.data(), count);
        for (Index i = 0; i < count; ++i)
          if (x[i] > expected[i]) {
            expected[i] = x[i];
            expected_at[i] = row;
          }
      }
      CHECK(largest == expected);
      CHECK(at == expected_at);
    }
  });
}

TEST_CASE("OpenBLAS agrees with the packed products") {
  ThreadPool pool(1);
  const Index m = 37, k = 65, n = 50;
  const auto a = random_values(m * k, 1), b = random_values(k * n, 2), at = random_values(k * m, 3);
  std::vector<float> ours(m * n), theirs(m * n);
  PackedMatrix packed;
  pack(pool, b.data(), n, false, k, n, packed);
  const Product product{m, a.data(), k, &packed, Start::kZero, nullptr, ours.data(), n};
  multiply(pool, {&product, 1});
  openblas_multiply(m, n, k, a.data(), k, b.data(), n, theirs.data(), n);
  for (Index i = 0; i < m * n; ++i) REQUIRE(ours[i] == Approx(theirs[i]).margin(1e-4));
  AlignedVector scratch;
  std::fill(ours.begin(), ours.end(), 0.5f);
  std::fill(theirs.begin(), theirs.end(), 0.5f);
  const TransposedProduct transposed{
      .rows = k,
      .m = m,
      .a = at.data(),
      .lda = m,
      .right = {{.n = n, .b = b.data(), .ldb = n, .b_rows = nullptr, .c = ours.data(), .ldc = n}, {}},
      .a_sum = nullptr};
  multiply_transposed(pool, {&transposed, 1}, scratch);
  openblas_multiply_transposed(k, m, n, at.data(), m, b.data(), n, theirs.data(), n);
  for (Index i = 0; i < m * n; ++i) REQUIRE(ours[i] == Approx(theirs[i]).margin(1e-4));
}

TEST_CASE("tanh and the logistic function keep the header's error bounds everywhere") {
  on_every_target([] {
    std::vector<float> x{0.0f, -0.0f, 1e-30f, -1e-8f, 88.0f, -88.0f, 1e30f, -1e30f, INFINITY, -INFINITY};
    for (int i = -120000; i <= 120000; ++i) x.push_back(static_cast<float>(i) * 1e-4f);
    std::vector<float> t(x.size()), s(x.size());
    tanh_values(x.data(), t.data(), std::ssize(x));
    logistic_values(x.data(), s.data(), std::ssize(x));
    double worst_tanh = 0, worst_logistic = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::tanh(static_cast<double>(x[i]));
      if (exact != 0 && std::abs(exact) > 1e-37)
        worst_tanh = std::max(worst_tanh, std::abs(static_cast<double>(t[i]) / exact - 1));
      const double logistic = 1.0 / (1.0 + std::exp(-static_cast<double>(x[i])));
      worst_logistic = std::max(worst_logistic, std::abs(static_cast<double>(s[i]) - logistic));
    }
    CHECK(worst_tanh <= kTanhRelativeError);
    CHECK(worst_logistic <= kLogisticError);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> one{nan};
    tanh_values(one.data(), one.data(), 1);
    CHECK(std::isnan(one[0]));
    one[0] = nan;
    logistic_values(one.data(), one.data(), 1);
    CHECK(std::isnan(one[0]));
  });
}

namespace {

// Largest error of a cell's outputs and gradients, relative where they exceed 1. A norm over few elements divides by a
// small deviation, which amplifies the rounding of its sums.
double cell_bound(CellKind kind) { return kind == CellKind::kNormLstm ? 5e-5 : 3e-6; }

// Memory for the outputs of a cell's forward kernel, and its arguments.
struct CellRoom {
  CellRoom(const CellTraits& its_cell, std::vector<float> sums, Index rows, Index H, Index stride)
      : cell(its_cell),
        gates(std::move(sums)),
        c(rows * stride, -7.0f),
        h(rows * stride, -7.0f),
        kept(rows * kept_size(H) + 1) {}

  Index kept_size(Index H) const { return cell.kept * H + cell.kept_scalars; }

  // h_prev, c_prev and x [rows, stride].
  void forward(Index rows, Index H, Index stride, const std::vector<float>& h_prev, const std::vector<float>& c_prev,
               const std::vector<float>& own, const std::vector<float>& x) {
    const CellForward args{.rows = rows,
                           .hidden = H,
                           .gates = gates.data(),
                           .gates_stride = cell.blocks * H,
                           .gates_block = H,
                           .h_prev = h_prev.data(),
                           .h_prev_stride = stride,
                           .c_prev = c_prev.data(),
                           .c_prev_stride = stride,
                           .own = own.data(),
                           .x = cell.otherwise ? x.data() : nullptr,
                           .x_stride = stride,
                           .c = c.data(),
                           .c_stride = stride,
                           .kept = kept.data(),
                           .kept_stride = kept_size(H),
                           .h = h.data(),
                           .h_stride = stride};
    if (cell.reset) cell.reset(args);
    cell.forward(args);
  }

  const CellTraits& cell;
  std::vector<float> gates, c, h, kept;
};

class CellCheck {
 public:
  CellCheck(CellKind kind, Index H)
      : cell_(cell_traits(kind)),
        H_(H),
        stride_(H + 5),
        // Wide enough that both gates of min_lstm, of which a ratio is taken, come near zero.
        sums_(random_values(kRows * cell_.blocks * H, 1, kind == CellKind::kMinLstm ? 8.0 : 2.0)),
        h_prev_(random_values(kRows * stride_, 2)),
        c_prev_(random_values(kRows * stride_, 3)),
        dh_(random_values(kRows * stride_, 4)),
        dh_next_(random_values(kRows * H, 5)),
        dc_(random_values(kRows * H, 6)),
        own_(random_values(cell_.own_blocks() * H, 7)),
        dreset_(random_values(kRows * H, 8)),
        x_(random_values(kRows * stride_, 9)) {}

  void run() {
    auto dh_next = dh_next_, dc = dc_;
    const Index own_size = std::ssize(own_), gates_size = cell_.blocks * H_;
    std::vector<float> down(kRows * own_size + 1), dx(kRows * stride_);
    CellRoom room(cell_, sums_, kRows, H_, stride_);
    room.forward(kRows, H_, stride_, h_prev_, c_prev_, own_, x_);
    auto &gates = room.gates, &c = room.c, &h = room.h, &kept = room.kept;
    const Index kept_size = room.kept_size(H_);
    const CellBackward backward{.rows = kRows,
                                .hidden = H_,
                                .gates = gates.data(),
                                .gates_stride = gates_size,
                                .gates_block = H_,
                                .h_prev = h_prev_.data(),
                                .h_prev_stride = stride_,
                                .c_prev = c_prev_.data(),
                                .c_prev_stride = stride_,
                                .x = cell_.otherwise ? x_.data() : nullptr,
                                .x_stride = stride_,
                                .dx = dx.data(),
                                .dx_stride = stride_,
                                .own = own_.data(),
                                .own_gradients = down.data(),
                                .own_gradients_stride = own_size,
                                .kept = kept.data(),
                                .kept_stride = kept_size,
                                .dh = dh_.data(),
                                .dh_stride = stride_,
                                .dh_next = dh_next.data(),
                                .dh_next_stride = H_,
                                .dc = dc.data(),
                                .dc_stride = H_};
    std::vector<float> reset(kRows * H_);
    for (Index r = 0; cell_.reset && r < kRows; ++r) std::copy_n(&kept[r * kept_size], H_, &reset[r * H_]);
    cell_.backward(backward);
    if (cell_.reset_backward) {
      for (Index r = 0; r < kRows; ++r) std::copy_n(&dreset_[r * H_], H_, &kept[r * kept_size + H_]);
      cell_.reset_backward(backward);
    }
    for (Index r = 0; r < kRows; ++r) {
      reference::CellInput in{row(sums_, r, gates_size, gates_size), row(h_prev_, r, stride_, H_),
                              row(c_prev_, r, stride_, H_), row(own_, 0, 0, std::ssize(own_)), row(x_, r, stride_, H_)};
      const reference::CellOutput out = reference::cell_step(cell_.kind, in);
      reference::CellOutputGradients d{row(dh_, r, stride_, H_), row(dc_, r, H_, H_), row(dreset_, r, H_, H_)};
      for (Index j = 0; j < H_; ++j) d.dh[j] += static_cast<double>(dh_next_[r * H_ + j]);
      compare("h", out.h, &h[r * stride_]);
      if (cell_.cell_state) compare("c", out.c, &c[r * stride_]);
      if (cell_.reset) compare("r h_prev", out.reset, &reset[r * H_]);
      compare("gates", reference::cell_gradient(cell_.kind, in, in.gates, d), &gates[r * gates_size]);
      if (cell_.otherwise) compare("x", reference::cell_gradient(cell_.kind, in, in.x, d), &dx[r * stride_]);
      compare("own", reference::cell_gradient(cell_.kind, in, in.own, d), &down[r * own_size]);
      if (cell_.direct) compare("h_prev", reference::cell_gradient(cell_.kind, in, in.h_prev, d), &dh_next[r * H_]);
      if (cell_.cell_state) compare("c_prev", reference::cell_gradient(cell_.kind, in, in.c_prev, d), &dc[r * H_]);
      // The gaps between rows must not be written to.
      for (Index j = H_; j < stride_; ++j) REQUIRE(h[r * stride_ + j] == -7.0f);
    }
  }

 private:
  static constexpr Index kRows = 3;

  static reference::Doubles row(const std::vector<float>& from, Index r, Index stride, Index count) {
    return {from.begin() + r * stride, from.begin() + r * stride + count};
  }

  void compare(const char* what, const reference::Doubles& exact, const float* found) const {
    double worst = 0;
    for (std::size_t i = 0; i < exact.size(); ++i)
      worst = std::max(worst, std::abs(exact[i] - static_cast<double>(found[i])) / std::max(1.0, std::abs(exact[i])));
    INFO(cell_.name << ", H " << H_ << ", " << what);
    CHECK(worst < cell_bound(cell_.kind));
  }

  const CellTraits& cell_;
  Index H_, stride_;
  std::vector<float> sums_, h_prev_, c_prev_, dh_, dh_next_, dc_, own_, dreset_, x_;
};

}  // namespace

TEST_CASE("every cell, forward and backward, agrees with its reference at ragged widths and strides") {
  on_every_target([] {
    for (CellKind kind : all_cells())
      for (Index H : {Index{1}, Index{2}, Index{7}, Index{16}, Index{17}, Index{50}}) CellCheck(kind, H).run();
  });
}

TEST_CASE("a cell hides no NaN") {
  on_every_target([] {
    for (CellKind kind : all_cells()) {
      const CellTraits& cell = cell_traits(kind);
      const Index H = 20;
      for (Index block = 0; block < cell.blocks; ++block) {
        std::vector<float> sums(cell.blocks * H, 0.5f);
        sums[block * H + 3] = std::numeric_limits<float>::quiet_NaN();
        const std::vector<float> state(H, 0.3f), own(cell.own_blocks() * H, 0.5f);
        CellRoom room(cell, sums, 1, H, H);
        room.forward(1, H, H, state, state, own, state);
        // The first gate of the GRU that resets before the product reaches h only through that product.
        const bool by_product = kind == CellKind::kGruBefore && block == 0;
        INFO(cell.name << ", block " << block);
        CHECK(std::isnan(by_product ? room.kept[3] : room.h[3]));
      }
    }
  });
}

TEST_CASE("masks are Philox's bits, the same on every instruction set and for any split") {
  std::vector<float> first;
  on_every_target([&] {
    const MaskStream stream{{1, 2}, {3, 4, 5}};
    std::vector<float> mask(1000), pieces(1000);
    dropout_mask(stream, 0, 1000, 1 << 15, 2.0f, mask.data());
    dropout_mask(stream, 0, 488, 1 << 15, 2.0f, pieces.data());
    dropout_mask(stream, 488, 512, 1 << 15, 2.0f, pieces.data() + 488);
    CHECK(mask == pieces);
    if (first.empty()) first = mask;
    CHECK(first == mask);
  });
  for (Index e = 0; e < 1000; ++e) {
    const auto block = philox({static_cast<std::uint32_t>(e / 8), 3, 4, 5}, {1, 2});
    const std::uint32_t word = block[e % 8 / 2], half = e % 2 ? word >> 16 : word & 0xffff;
    REQUIRE(first[e] == (half >= (1u << 15) ? 2.0f : 0.0f));
  }
  const auto kept = std::count(first.begin(), first.end(), 2.0f);
  CHECK((kept > 430 && kept < 570));
}

TEST_CASE("sums of squares are the same on every instruction set, and values that are not finite are found anywhere") {
  double first = -1;
  on_every_target([&] {
    for (Index n : kSizes) {
      auto x = random_values(n, 1);
      double exact = 0;
      for (float value : x) exact += static_cast<double>(value) * static_cast<double>(value);
      CHECK(sum_of_squares(x.data(), n) == Approx(exact).epsilon(1e-12));
      CHECK_FALSE(has_non_finite(x.data(), n));
      for (float bad : {INFINITY, -INFINITY, NAN}) {
        x[n / 2] = bad;
        CHECK(has_non_finite(x.data(), n));
      }
    }
    const auto x = random_values(1003, 2);
    const double sum = sum_of_squares(x.data(), 1003);
    if (first < 0) first = sum;
    CHECK(sum == first);
  });
}

TEST_CASE("softmax over many classes: bias, maxima, exponentials and dots against double precision") {
  on_every_target([] {
    for (const Index classes : {1, 3, 96, 100})
      for (const Index n : kSizes) {
        const Index ld = n + 3;
        auto x = random_values(classes * ld, 1, 20.0);
        const auto before = x, bias = random_values(classes, 2), factors = random_values(n, 3);
        std::vector<float> largest(n, -INFINITY), sums(n, 0.0f), dots = random_values(classes, 4);
        const auto dots_before = dots;
        largest_of_columns(classes, n, bias.data(), x.data(), ld, largest.data());
        // Any shift near the largest score will do.
        auto shifts = largest;
        for (float& shift : shifts) shift -= 3.0f;
        exp_columns(classes, n, bias.data(), shifts.data(), x.data(), ld, sums.data());
        row_dots(classes, n, x.data(), ld, factors.data(), dots.data());
        for (Index j = 0; j < n; ++j) {
          float top = -INFINITY;
          for (Index k = 0; k < classes; ++k) top = std::max(top, before[k * ld + j] + bias[k]);
          REQUIRE(largest[j] == top);
          double sum = 0;
          for (Index k = 0; k < classes; ++k) {
            const double exact = std::exp(static_cast<double>(before[k * ld + j] + bias[k] - shifts[j]));
            REQUIRE(std::abs(static_cast<double>(x[k * ld + j]) - exact) <= kExpRelativeError * exact + 2e-38);
            sum += static_cast<double>(x[k * ld + j]);
          }
          REQUIRE(static_cast<double>(sums[j]) == Approx(sum).epsilon(1e-5));
        }
        // The gaps between rows must not be written to.
        for (Index k = 0; k < classes; ++k)
          for (Index j = n; j < ld; ++j) REQUIRE(x[k * ld + j] == before[k * ld + j]);
        for (Index k = 0; k < classes; ++k) {
          double dot = static_cast<double>(dots_before[k]);
          for (Index j = 0; j < n; ++j) dot += static_cast<double>(x[k * ld + j]) * static_cast<double>(factors[j]);
          REQUIRE(static_cast<double>(dots[k]) == Approx(dot).epsilon(1e-4).margin(1e-5));
        }
      }
    // Values that are not finite stay visible.
    std::vector<float> x{NAN, 0.0f, 1000.0f}, bias{0.0f}, shifts(3, 0.0f), sums(3, 0.0f);
    exp_columns(1, 3, bias.data(), shifts.data(), x.data(), 3, sums.data());
    CHECK(std::isnan(sums[0]));
    CHECK(sums[1] == 1.0f);
    CHECK(sums[2] > 1e38f);
  });
}

TEST_CASE("softmax of one row: the largest value, exponentials and their sum against double precision") {
  on_every_target([] {
    for (const Index n : kSizes)
      for (const float scale : {1.0f, 0.5f, 3.0f}) {
        const auto x = random_values(n, 7, 9.0);
        const float largest = largest_of_row(n, x.data());
        REQUIRE(largest == *std::max_element(x.begin(), x.end()));
        std::vector<float> out(n + 1, -1.0f);
        const auto sum = static_cast<double>(exp_row(n, x.data(), largest, scale, out.data()));
        double exact_sum = 0;
        for (Index i = 0; i < n; ++i) {
          const double argument = static_cast<double>((x[i] - largest) * scale), exact = std::exp(argument);
          REQUIRE(std::abs(static_cast<double>(out[i]) - exact) <= kExpRelativeError * exact + 2e-38);
          exact_sum += static_cast<double>(out[i]);
        }
        REQUIRE(sum == Approx(exact_sum).epsilon(1e-6));
        REQUIRE(out[n] == -1.0f);
        if (scale == 1.0f) REQUIRE(static_cast<double>(exp_sum_of_row(n, x.data(), largest)) == sum);
      }
  });
}

TEST_CASE("the sum of a row's exponentials is NaN where a value is not finite") {
  on_every_target([] {
    for (const Index n : kSizes)
      for (const float bad : {NAN, INFINITY, -INFINITY})
        for (const Index at : {Index{0}, n / 2, n - 1}) {
          auto x = random_values(n, 8);
          x[at] = bad;
          REQUIRE(std::isnan(exp_sum_of_row(n, x.data(), largest_of_row(n, x.data()))));
        }
  });
}

TEST_CASE("the best values of a row: the order of a stable sort, also with equal values and infinities") {
  on_every_target([] {
    for (const Index n : kSizes)
      for (const Index most : {Index{0}, Index{1}, Index{2}, Index{6}, n}) {
        if (most > n) continue;
        auto x = random_values(n, 21);
        for (Index i = 0; i < n; ++i) x[i] = i % 7 == 3 ? -INFINITY : std::round(4.0f * x[i]);
        std::vector<std::int32_t> expected(n), found(most);
        std::iota(expected.begin(), expected.end(), 0);
        std::stable_sort(expected.begin(), expected.end(), [&](auto a, auto b) { return x[a] > x[b]; });
        expected.resize(most);
        best_of_row(n, x.data(), most, found.data());
        CHECK(found == expected);
      }
  });
}

TEST_CASE("attention's loops over tiles have the bits of those over named rows") {
  on_every_target([] {
    for (const Index columns : kSizes)
      for (const auto& [queries, terms] : {std::pair<Index, Index>{1, 1}, {3, 6}, {8, 4}, {9, 13}}) {
        const auto x = random_values(queries * columns, 1), m = random_values(terms * columns, 2),
                   factors = random_values(queries * terms, 3);
        std::vector<const float*> queries_at, terms_at;
        std::vector<std::int32_t> rows;
        for (Index i = 0; i < queries; ++i) queries_at.push_back(x.data() + i * columns);
        for (Index j = 0; j < terms; ++j) {
          terms_at.push_back(m.data() + j * columns);
          rows.push_back(static_cast<std::int32_t>(j));
        }
        std::vector<float> dots(queries * (terms + 2)), sums = x, turned = m;
        dot_tile(queries, terms, columns, queries_at.data(), terms_at.data(), dots.data(), terms + 2);
        std::vector<float*> to, back;
        for (Index i = 0; i < queries; ++i) to.push_back(sums.data() + i * columns);
        for (Index j = 0; j < terms; ++j) back.push_back(turned.data() + j * columns);
        add_tile(queries, terms, columns, factors.data(), terms, 1, terms_at.data(), to.data());
        // The same factors for the sums of the other rows.
        add_tile(terms, queries, columns, factors.data(), 1, terms, queries_at.data(), back.data());
        std::vector<float> expected(terms), alone(columns), others = m;
        for (Index i = 0; i < queries; ++i) {
          dot_rows(terms, columns, queries_at[i], m.data(), columns, rows.data(), expected.data());
          CHECK(std::equal(expected.begin(), expected.end(), dots.begin() + i * (terms + 2)));
          std::copy_n(queries_at[i], columns, alone.begin());
          add_rows(terms, columns, factors.data() + i * terms, m.data(), columns, rows.data(), alone.data());
          CHECK(std::equal(alone.begin(), alone.end(), sums.begin() + i * columns));
          add_to_rows(terms, columns, factors.data() + i * terms, queries_at[i], others.data(), columns, rows.data());
        }
        CHECK(others == turned);
      }
  });
}

TEST_CASE("layer norm of rows against double precision, and gelu") {
  on_every_target([] {
    for (const Index columns : kSizes) {
      constexpr Index kRows = 3;
      const auto x = random_values(kRows * columns, 1, 2.0), gain = random_values(columns, 2),
                 bias = random_values(columns, 3);
      std::vector<float> norm(x.size()), inverse(kRows), y(x.size()), alone(columns);
      normalize_rows(kRows, columns, x.data(), gain.data(), bias.data(), norm.data(), inverse.data(), y.data());
      for (Index r = 0; r < kRows; ++r) {
        double mean = 0, variance = 0;
        const auto number = [&](Index c) { return static_cast<double>(x[r * columns + c]); };
        for (Index c = 0; c < columns; ++c) mean += number(c) / static_cast<double>(columns);
        for (Index c = 0; c < columns; ++c) variance += std::pow(number(c) - mean, 2) / static_cast<double>(columns);
        for (Index c = 0; c < columns; ++c) {
          const double n = (number(c) - mean) / std::sqrt(variance + static_cast<double>(kNormEpsilon));
          const double exact = static_cast<double>(gain[c]) * n + static_cast<double>(bias[c]);
          CHECK(std::abs(static_cast<double>(y[r * columns + c]) - exact) <= 10 * kNormError);
        }
        normalize_rows(1, columns, x.data() + r * columns, gain.data(), bias.data(), alone.data(), inverse.data() + r,
                       alone.data());
        CHECK(std::equal(alone.begin(), alone.end(), y.begin() + r * columns));
      }
      std::vector<float> out(x.size()), slope(x.size(), 1.0f);
      gelu_values(x.data(), out.data(), std::ssize(x));
      gelu_backward(x.data(), slope.data(), std::ssize(x));
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto value = static_cast<double>(x[i]);
        const double s = 1 / (1 + std::exp(-1.702 * value));
        CHECK(static_cast<double>(out[i]) == Approx(value * s).margin(1e-6));
        CHECK(static_cast<double>(slope[i]) == Approx(s + 1.702 * value * s * (1 - s)).margin(2e-6));
      }
    }
  });
}

TEST_CASE("attention's loops over named rows against double precision, whatever is beside them") {
  on_every_target([] {
    for (const Index columns : kSizes) {
      const Index ldm = columns + 3, rows_of_m = 9;
      const std::vector<std::int32_t> rows{4, 0, 8, 2, 7, 1};
      const Index n = std::ssize(rows);
      const auto m = random_values(rows_of_m * ldm, 1), x = random_values(columns, 2), w = random_values(columns, 3),
                 factors = random_values(n, 4);
      const auto number = [](float value) { return static_cast<double>(value); };
      std::vector<float> dots(n), squashed(n), one(1);
      dot_rows(n, columns, x.data(), m.data(), ldm, rows.data(), dots.data());
      dot_tanh_rows(n, columns, x.data(), w.data(), m.data(), ldm, rows.data(), squashed.data());
      for (Index j = 0; j < n; ++j) {
        double dot = 0, tanhs = 0, size = 0;
        for (Index c = 0; c < columns; ++c) {
          const double a = number(x[c]), b = number(m[rows[j] * ldm + c]);
          dot += a * b;
          size += std::abs(a * b);
          tanhs += number(w[c]) * std::tanh(a + b);
        }
        const double error = kAttentionUlp * 6e-8 * std::sqrt(static_cast<double>(columns)) * size;
        CHECK(std::abs(number(dots[j]) - dot) <= error);
        CHECK(number(squashed[j]) == Approx(tanhs).margin(1e-6 * static_cast<double>(columns)));
        dot_rows(1, columns, x.data(), m.data(), ldm, &rows[j], one.data());
        CHECK(one[0] == dots[j]);
        dot_tanh_rows(1, columns, x.data(), w.data(), m.data(), ldm, &rows[j], one.data());
        CHECK(one[0] == squashed[j]);
      }
      auto sum = x;
      add_rows(n, columns, factors.data(), m.data(), ldm, rows.data(), sum.data());
      auto changed = m, dm = m;
      add_to_rows(n, columns, factors.data(), x.data(), changed.data(), ldm, rows.data());
      auto dx = x, dw = w;
      dot_tanh_rows_backward(n, columns, x.data(), w.data(), m.data(), ldm, rows.data(), factors.data(), dx.data(),
                             dw.data(), dm.data());
      for (Index c = 0; c < columns; ++c) {
        double exact = number(x[c]), exact_dx = number(x[c]), exact_dw = number(w[c]);
        for (Index j = 0; j < n; ++j) {
          const Index at = rows[j] * ldm + c;
          const double t = std::tanh(number(x[c]) + number(m[at])), f = number(factors[j]);
          exact += f * number(m[at]);
          const double s = f * number(w[c]) * (1 - t * t);
          exact_dx += s;
          exact_dw += f * t;
          CHECK(number(changed[at]) == Approx(number(m[at]) + f * number(x[c])).margin(1e-6));
          CHECK(number(dm[at]) == Approx(number(m[at]) + s).margin(2e-6));
        }
        CHECK(number(sum[c]) == Approx(exact).margin(1e-5));
        CHECK(number(dx[c]) == Approx(exact_dx).margin(1e-5));
        CHECK(number(dw[c]) == Approx(exact_dw).margin(1e-5));
      }
      // Rows that are not named, and the gaps between rows, stay as they are.
      for (const Index row : {3, 5, 6})
        for (Index c = 0; c < ldm; ++c)
          CHECK((changed[row * ldm + c] == m[row * ldm + c] && dm[row * ldm + c] == m[row * ldm + c]));
      for (Index c = columns; c < ldm; ++c) CHECK(changed[4 * ldm + c] == m[4 * ldm + c]);
    }
  });
}
