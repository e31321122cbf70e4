// Language models that go on learning from the text they measure.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/optimizer.h"
#include "pipeline/text_language_model.h"

namespace mnemo {

struct AdaptationOptions {
  /// Continuous cache (Grave, Joulin & Usunier 2017): how many units back it remembers, 0: none; p is the mixture of
  /// the model's and `share` of softmax(flatness h_t . h_i) over the units behind those.
  std::int64_t cache = 0;
  double flatness = 0.3, share = 0.1;
  /// Dynamic evaluation (Mikolov et al. 2010): after every `steps` units, measured first, a step of gradient descent of
  /// this rate on their mean loss, its gradient clipped to length 1; 0: none.
  double rate = 0;
  std::int64_t steps = 20;

  bool any() const { return cache > 0 || rate > 0; }
};

/// Measures texts one after the other. The cache and what was learned go on from text to text, the state does not. The
/// model's weights are changed by dynamic evaluation; it must have been loaded by `load_without_dropout`.
class AdaptiveLoss {
 public:
  /// Throws Error for dynamic evaluation of a model whose weights are not float32.
  AdaptiveLoss(TextLanguageModel& model, const AdaptationOptions& options, ThreadPool& pool);

  /// Units [begin, end) of a row are read, of those from `counted` on `use` is told.
  void measure(const ReadUnits& read, const StreamLoss::Lane& lane, const StreamLoss::Use& use);

 private:
  void mix_cache(const float* y, std::span<const std::int32_t> targets, std::vector<double>& log_p);

  TextLanguageModel& model_;
  AdaptationOptions options_;
  ThreadPool& pool_;
  Arena arena_;
  std::unique_ptr<Optimizer> optimizer_;
  // The last options.cache outputs [., H], the oldest first, and the unit that came behind each.
  std::vector<float> outputs_;
  std::vector<std::int32_t> units_;
};

/// A model for AdaptiveLoss: its configuration's dropout and penalties are left out, so that gradients are of what it
/// says.
std::unique_ptr<TextLanguageModel> load_without_dropout(ModelContents contents);

}  // namespace mnemo
