// Whether models can answer together.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

/// A model's labels, in its order, and its file's name for messages.
struct NamedLabels {
  const std::vector<std::string>& labels;
  const std::string& model;
};

/// Throws Error unless both have the same labels in the same order; it names the first label that one of them lacks.
/// `noun` is what such a label is called, `averaged` what is averaged over them.
void check_same_labels(const NamedLabels& one, const NamedLabels& first, std::string_view noun,
                       std::string_view averaged);

}  // namespace mnemo
