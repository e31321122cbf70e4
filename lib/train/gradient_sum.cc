// Work on dense gradients goes piece by piece, so that a piece that is scaled, added and cleared is read from memory
// once.
#include "train/gradient_sum.h"

#include <algorithm>
#include <utility>

#include "kernels/elementwise.h"

namespace mnemo {

void GradientRows::add(const GradientRows& other, Index row_size) {
  if (other.ids.empty()) return;
  GradientRows sum;
  std::ranges::set_union(ids, other.ids, std::back_inserter(sum.ids));
  sum.rows.resize(std::ssize(sum.ids) * row_size);
  std::size_t a = 0, b = 0;
  float* to = sum.rows.data();
  for (const std::int32_t id : sum.ids) {
    const bool own = a < ids.size() && ids[a] == id, theirs = b < other.ids.size() && other.ids[b] == id;
    const float* row = other.rows.data() + static_cast<Index>(b) * row_size;
    std::copy_n(own ? rows.data() + static_cast<Index>(a) * row_size : row, row_size, to);
    if (own && theirs) kernels::add_scaled(1.0f, row, to, row_size);
    a += own ? 1 : 0;
    b += theirs ? 1 : 0;
    to += row_size;
  }
  *this = std::move(sum);
}

GradientLayout::GradientLayout(const Optimizer& optimizer, std::vector<Parameter*> sparse, bool rounded)
    : pieces_(optimizer.dense_pieces()), sparse_(std::move(sparse)), rounded_(rounded) {
  for (const Optimizer::Piece& piece : pieces_) offsets_.push_back(offsets_.back() + piece.count);
}

void GradientLayout::scale(float factor, float* gradient, Index count) const {
  kernels::scale(factor, gradient, count);
  if (rounded_) kernels::round_to_bfloat16(gradient, count);
}

void GradientLayout::add(const float* from, float* sum, Index count) const {
  kernels::add_scaled(1.0f, from, sum, count);
  if (rounded_) kernels::round_to_bfloat16(sum, count);
}

GradientRows GradientLayout::take_rows(std::size_t parameter, float weight) const {
  Parameter& p = *sparse_[parameter];
  GradientRows out;
  out.ids = std::exchange(p.touched, {});
  const Index count = std::ssize(out.ids) * p.row_size();
  out.rows.resize(count);
  std::copy_n(p.gradient.data(), count, out.rows.data());
  kernels::scale(weight, out.rows.data(), count);
  return out;
}

void GradientLayout::take(double weight, GradientSum& sum, ThreadPool& pool) const {
  const auto factor = static_cast<float>(weight);
  if (static_cast<Index>(sum.dense.size()) != size()) sum.dense.resize(size());
  pool.parallel_for(std::ssize(pieces_), [&](std::int64_t i) {
    const auto& [parameter, at, count] = pieces_[static_cast<std::size_t>(i)];
    float *from = parameter->gradient.data() + at, *to = sum.dense.data() + offsets_[static_cast<std::size_t>(i)];
    std::copy_n(from, count, to);
    scale(factor, to, count);
    std::fill_n(from, count, 0.0f);
  });
  sum.sparse.clear();
  for (std::size_t k = 0; k < sparse_.size(); ++k) sum.sparse.push_back(take_rows(k, factor));
}

void GradientLayout::take_and_add(double weight, GradientSum& sum, ThreadPool& pool) const {
  const auto factor = static_cast<float>(weight);
  pool.parallel_for(std::ssize(pieces_), [&](std::int64_t i) {
    const auto& [parameter, at, count] = pieces_[static_cast<std::size_t>(i)];
    float *from = parameter->gradient.data() + at, *to = sum.dense.data() + offsets_[static_cast<std::size_t>(i)];
    scale(factor, from, count);
    add(from, to, count);
    std::fill_n(from, count, 0.0f);
  });
  for (std::size_t k = 0; k < sparse_.size(); ++k) sum.sparse[k].add(take_rows(k, factor), sparse_[k]->row_size());
}

void GradientLayout::add(const GradientSum& from, GradientSum& sum, ThreadPool& pool) const {
  pool.parallel_for(std::ssize(pieces_), [&](std::int64_t i) {
    const Index at = offsets_[static_cast<std::size_t>(i)];
    add(from.dense.data() + at, sum.dense.data() + at, pieces_[static_cast<std::size_t>(i)].count);
  });
  for (std::size_t k = 0; k < sparse_.size(); ++k) sum.sparse[k].add(from.sparse[k], sparse_[k]->row_size());
}

}  // namespace mnemo
