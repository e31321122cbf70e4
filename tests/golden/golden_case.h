// Networks whose weights and results another program has computed: a file of numbered cases.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "kernels/targets.h"
#include "nn/network.h"
#include "tests/catch.h"
#include "tests/places.h"

namespace mnemo {

class GoldenCase {
 public:
  GoldenCase(const SafetensorsFile& file, int number)
      : options(parse_json(file.metadata().at("case" + std::to_string(number)))),
        file_(file),
        prefix_("case" + std::to_string(number) + ".") {}

  const TensorView& tensor(const std::string& name) const {
    const TensorView* found = file_.find(prefix_ + name);
    INFO(prefix_ + name);
    REQUIRE(found != nullptr);
    return *found;
  }
  std::vector<std::int32_t> integers(const std::string& name) const {
    const TensorView& found = tensor(name);
    REQUIRE(found.dtype == DType::kI32);
    const auto* values = static_cast<const std::int32_t*>(found.data);
    return {values, values + found.elements()};
  }
  /// The names of the parameters that the case has.
  std::set<std::string> weights() const {
    std::set<std::string> out;
    const std::string start = prefix_ + "weights.";
    for (const TensorView& one : file_.tensors())
      if (one.name.starts_with(start)) out.insert(one.name.substr(start.size()));
    return out;
  }

  const Json options;

 private:
  const SafetensorsFile& file_;
  std::string prefix_;
};

/// The case's weights in a network of the same parameters.
inline void fill_weights(const GoldenCase& c, Network& model) {
  std::set<std::string> names;
  model.visit([&](Parameter& p) {
    const TensorView& given = c.tensor("weights." + p.name);
    INFO(p.name);
    REQUIRE(given.shape == std::vector<std::int64_t>(p.shape.begin(), p.shape.end()));
    std::ranges::copy(given.floats(), p.value.data());
    p.clear_gradient();
    names.insert(p.name);
  });
  REQUIRE(names == c.weights());
  model.weights_changed();
}

/// By parameter, with all rows, also of a sparse one.
using GoldenGradients = std::map<std::string, std::vector<float>>;

/// Moves what a pass has left in the parameters' gradients to these sums.
inline void take_gradients(Network& model, GoldenGradients& sums) {
  model.visit([&](Parameter& p) {
    std::vector<float>& sum = sums[p.name];
    sum.resize(p.size());
    const Index width = p.row_size();
    const Index rows = p.sparse ? std::ssize(p.touched) : p.size() / width;
    for (Index row = 0; row < rows; ++row)
      for (Index j = 0; j < width; ++j)
        sum[(p.sparse ? p.touched[row] : row) * width + j] += p.gradient[row * width + j];
    p.clear_gradient();
  });
}

/// The largest difference in units of the largest expected value: some gradients are small throughout.
inline double relative_difference(std::span<const float> expected, std::span<const float> found) {
  REQUIRE(expected.size() == found.size());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    REQUIRE(std::isfinite(found[i]));
    worst = std::max(worst, std::abs(static_cast<double>(expected[i]) - static_cast<double>(found[i])));
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  REQUIRE(largest > 0);
  return worst / largest;
}

inline void check_gradients(const GoldenCase& c, const GoldenGradients& found, double tolerance) {
  REQUIRE(found.size() == c.weights().size());
  for (const auto& [name, gradient] : found) {
    INFO("gradient of " << name);
    CHECK(relative_difference(c.tensor("grad." + name).floats(), gradient) < tolerance);
  }
}

/// Calls check(file, number) for each case of tests/golden/NAME on every instruction set.
template <class Check>
void for_golden_cases(const std::string& name, const Check& check) {
  const auto file = SafetensorsFile::read(source_folder() + "/tests/golden/" + name);
  const int cases = std::stoi(file.metadata().at("cases"));
  REQUIRE(cases > 0);
  for (const std::string& target : kernels::available_targets()) {
    kernels::use_target(target);
    for (int number = 0; number < cases; ++number) {
      INFO("instruction set " << target << ", case " << number << ", "
                              << file.metadata().at("case" + std::to_string(number)));
      check(file, number);
    }
  }
  kernels::use_target(kernels::available_targets().front());
}

}  // namespace mnemo
