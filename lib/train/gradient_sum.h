// A gradient apart from the parameters: what one node of the tree over shards adds up to.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "nn/optimizer.h"

namespace mnemo {

/// Rows of a sparse parameter's gradient.
struct GradientRows {
  std::vector<std::int32_t> ids;  // ascending
  AlignedVector rows;             // [ids, row size]

  /// Adds those of another gradient of the same parameter. A row that only one of them has is taken as it is.
  void add(const GradientRows& other, Index row_size);
};

struct GradientSum {
  AlignedVector dense;               // [N], the pieces one after the other
  std::vector<GradientRows> sparse;  // by sparse parameter
};

/// The parameters that are trained, as sums of gradients are laid out.
class GradientLayout {
 public:
  /// `rounded`: each dense gradient and each sum of them is rounded to bfloat16.
  GradientLayout(const Optimizer& optimizer, std::vector<Parameter*> sparse, bool rounded);

  Index size() const { return offsets_.back(); }                           ///< N
  Index offset(std::size_t piece) const { return offsets_[piece]; }        ///< of a piece in GradientSum::dense
  const std::vector<Optimizer::Piece>& pieces() const { return pieces_; }  ///< of dense parameters
  const std::vector<Parameter*>& sparse_parameters() const { return sparse_; }

  /// Moves the gradient of the parameters, times `weight`, into a sum, and clears it.
  void take(double weight, GradientSum& sum, ThreadPool& pool) const;
  /// The same, adding it to the sum. Products and sums are rounded one after the other, as if they had been taken and
  /// then added.
  void take_and_add(double weight, GradientSum& sum, ThreadPool& pool) const;
  void add(const GradientSum& from, GradientSum& sum, ThreadPool& pool) const;
  /// Adds dense gradients as `add` does.
  void add(const float* from, float* sum, Index count) const;

 private:
  void scale(float factor, float* gradient, Index count) const;
  GradientRows take_rows(std::size_t parameter, float weight) const;

  std::vector<Optimizer::Piece> pieces_;
  std::vector<Index> offsets_{0};  // [pieces + 1]
  std::vector<Parameter*> sparse_;
  bool rounded_;
};

}  // namespace mnemo
