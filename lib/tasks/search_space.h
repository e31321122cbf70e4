// The keys of a configuration that a search varies, and the values that it draws for them.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/random.h"
#include "config/config.h"

namespace mnemo {

/// A key and where its values come from: one of `choices`, or if there are none a number between `low` and `high`, on a
/// logarithmic scale if both are above 0 and far apart.
struct SearchKey {
  std::string key;
  std::vector<Json> choices;
  double low = 0, high = 0;

  /// "training.learning_rate from 0.0005 to 0.008", "model.hidden 64, 128 or 256".
  std::string text() const;
  /// All that draws depend on.
  Json json() const { return {key, choices, low, high}; }
};

class SearchSpace {
 public:
  /// Keys that matter for the configuration's task, without those that conflict with it. With `wanted` only these: KEY
  /// of the default space, KEY=LOW..HIGH, or KEY=VALUE|VALUE... with values as `--set` takes them. Throws UsageError
  /// for others, for values that the key does not take, for keys that change what dev measures (its metric, or where
  /// that is the loss, what the loss is a mean of), and where a language model would be trained first.
  SearchSpace(const Config& config, const std::vector<std::string>& wanted);

  const std::vector<SearchKey>& keys() const { return keys_; }
  /// A value for each key, as `--set` takes them: "training.learning_rate=0.0031".
  std::vector<std::string> draw(RandomStream& random) const;

 private:
  std::vector<SearchKey> keys_;
};

}  // namespace mnemo
