// Language models that keep adapting to the text they are evaluated on.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/optimizer.h"
#include "pipeline/stream_loss.h"
#include "pipeline/text_language_model.h"

namespace mnemo {

struct AdaptationOptions {
  /// Continuous cache (Grave, Joulin & Usunier 2017): how many units back it remembers, 0: none. p mixes the model's
  /// probability with `share` of softmax(flatness h_t . h_i) over the units that followed those h_i.
  std::int64_t cache = 0;
  double flatness = 0.3, share = 0.1;
  /// Dynamic evaluation (Mikolov et al. 2010): after every `steps` units, which are measured first, a step of gradient
  /// descent with this rate on their mean loss, with the gradient norm clipped to 1; 0: none.
  double rate = 0;
  std::int64_t steps = 20;

  bool any() const { return cache > 0 || rate > 0; }
};

/// Measures texts one after the other. The cache and the adapted weights carry over from text to text, the state does
/// not. Dynamic evaluation trains a copy of the network without dropout and penalties, so that its gradients are those
/// of the loss that is measured; the model itself is not changed.
class AdaptiveLoss {
 public:
  /// Throws Error for dynamic evaluation of a model whose weights are not float32 or that was trained with zoneout.
  AdaptiveLoss(const TextLanguageModel& model, const AdaptationOptions& options, ThreadPool& pool);

  /// Reads units [begin, end) of a row and calls `use` for those from `counted` on.
  void measure(const ReadUnits& read, const StreamLoss::Lane& lane, const StreamLoss::Use& use);

 private:
  void mix_cache(const float* y, std::span<const std::int32_t> targets, std::vector<double>& log_p);

  const TextLanguageModel& model_;
  std::unique_ptr<LanguageModel> learner_;  // null without dynamic evaluation
  AdaptationOptions options_;
  ThreadPool& pool_;
  Arena arena_;
  std::unique_ptr<Optimizer> optimizer_;
  // The last options.cache outputs [., H], the oldest first, and the unit that followed each.
  std::vector<float> outputs_;
  std::vector<std::int32_t> units_;
};

}  // namespace mnemo
