#include "nn/parameter.h"

#include <algorithm>
#include <numeric>

namespace mnemo {

Parameter::Parameter(std::string its_name, std::vector<Index> its_shape, bool is_sparse)
    : name(std::move(its_name)), shape(std::move(its_shape)), sparse(is_sparse) {
  value.resize(size());
  // Inference never touches it.
  if (!sparse) gradient.resize_zeroed(size());
}

Index Parameter::size() const { return std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>()); }

void Parameter::clear_gradient() {
  touched.clear();
  if (!sparse) std::fill_n(gradient.data(), size(), 0.0f);
}

}  // namespace mnemo
