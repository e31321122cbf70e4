#include "pipeline/averaged_classifiers.h"

#include <algorithm>

#include "base/error.h"
#include "base/shown.h"
#include "kernels/elementwise.h"

namespace mnemo {

void AveragedClassifiers::add(const TextClassifier& model, const std::string& name, const std::string& first_name) {
  const std::vector<std::string>&labels = models_.front()->labels(), &its = model.labels();
  const auto check = [](const std::vector<std::string>& all, const std::vector<std::string>& known,
                        const std::string& has, const std::string& lacks) {
    for (const std::string& label : all)
      if (std::ranges::find(known, label) == known.end())
        fail("{}: its label {} is not one of {}: probabilities can be averaged only over the same labels", has,
             shown(label), lacks);
  };
  check(its, labels, name, first_name);
  check(labels, its, first_name, name);
  if (model.multi_label() != models_.front()->multi_label())
    fail("{}: gives {} a text, {} gives {}", name, model.multi_label() ? "several labels" : "one label", first_name,
         model.multi_label() ? "one" : "several");
  if (its != labels) fail("{}: its labels are in another order than those of {}", name, first_name);
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
