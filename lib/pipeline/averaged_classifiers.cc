#include "pipeline/averaged_classifiers.h"

#include "base/error.h"
#include "kernels/elementwise.h"
#include "pipeline/same_labels.h"

namespace mnemo {

void AveragedClassifiers::add(const TextClassifier& model, const std::string& name, const std::string& first_name) {
  check_same_labels({model.labels(), name}, {models_.front()->labels(), first_name}, "label", "probabilities");
  if (model.multi_label() != models_.front()->multi_label())
    fail("{}: gives {} a text, {} gives {}", name, model.multi_label() ? "several labels" : "one label", first_name,
         model.multi_label() ? "one" : "several");
  models_.push_back(&model);
}

std::vector<float> AveragedClassifiers::probabilities(const std::vector<std::vector<float>>& logits,
                                                      bool calibrated) const {
  std::vector<float> out = models_.front()->probabilities(logits.front(), calibrated);
  if (models_.size() == 1) return out;
  for (std::size_t m = 1; m < models_.size(); ++m)
    kernels::add_scaled(1.0f, models_[m]->probabilities(logits[m], calibrated).data(), out.data(), std::ssize(out));
  for (float& p : out) p /= static_cast<float>(models_.size());
  return out;
}

}  // namespace mnemo
