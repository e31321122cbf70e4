#include "pipeline/same_labels.h"

#include <algorithm>

#include "base/error.h"
#include "base/shown.h"

namespace mnemo {

void check_same_labels(const NamedLabels& one, const NamedLabels& first, std::string_view noun,
                       std::string_view averaged) {
  const auto check = [&](const NamedLabels& has, const NamedLabels& lacks) {
    for (const std::string& label : has.labels)
      if (std::ranges::find(lacks.labels, label) == lacks.labels.end())
        fail("{}: its {} {} is not one of {}: {} can be averaged only over the same {}s", has.model, noun, shown(label),
             lacks.model, averaged, noun);
  };
  check(one, first);
  check(first, one);
  if (one.labels != first.labels)
    fail("{}: its {}s are in another order than those of {}", one.model, noun, first.model);
}

}  // namespace mnemo
