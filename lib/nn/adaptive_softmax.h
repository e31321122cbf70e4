// A two-level softmax for large vocabularies (Grave et al. 2017, "Efficient softmax approximation for GPUs").
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/linear.h"
#include "nn/output_layer.h"
#include "nn/softmax_output.h"

namespace mnemo {

/// The first cutoffs[0] classes, the most frequent ones, and the clusters [cutoffs[i], cutoffs[i + 1]) of the others
/// share a softmax; a cluster's classes share another one, whose input is a projection of x to a quarter of H for the
/// first cluster, a sixteenth for the second, and so on, at least one. A row costs the head and, if its target is rare,
/// one cluster.
class AdaptiveSoftmax : public OutputLayer {
 public:
  /// `cutoffs` ascend and are between 0 and `classes`.
  AdaptiveSoftmax(const std::string& name, Index in, Index classes, const std::vector<Index>& cutoffs);

  void initialise(Initialiser initialiser, std::uint64_t seed) override;
  void visit(const ParameterVisitor& visitor) override;
  void visit_matrices(const ParameterVisitor& visitor) override;
  void weights_changed() override;
  void set_training_precision(kernels::Precision precision) override;
  void set_precision(kernels::Precision precision) override;
  double loss(Tape& tape, const Activation& x, std::span<const std::int32_t> targets, double share = 1.0) override;
  void log_probabilities(ThreadPool& pool, Arena& arena, const float* x, std::span<const std::int32_t> targets,
                         double* out) const override;
  void prepare(ThreadPool& pool) override;
  void prepare_scores(ThreadPool& pool) override;
  void scores(Index rows, const float* x, float* out) const override;

 private:
  struct Cluster {
    Cluster(const std::string& name, Index in, Index inputs, Index first_class, Index count)
        : first(first_class), size(count), projection(name + ".projection", in, inputs), softmax(name, inputs, count) {}

    Index first, size;
    Linear projection;
    SoftmaxOutput softmax;
  };
  // Rows whose targets are in a cluster, and the targets within it.
  struct Members {
    std::vector<std::int32_t> rows, targets;
  };

  std::vector<std::int32_t> head_targets(std::span<const std::int32_t> targets, std::vector<Members>& members) const;

  Index in_, shortlist_;
  SoftmaxOutput head_;  // the shortlist, then the clusters
  std::vector<std::unique_ptr<Cluster>> clusters_;
};

}  // namespace mnemo
