// The name most likely meant by a mistyped one.
#pragma once

#include <string>
#include <vector>

namespace mnemo {

/// The candidate with the smallest edit distance (Levenshtein) to `name`; of several the first. A candidate that ends
/// in a dot and `name` wins outright: "epochs" means "training.epochs". `candidates` must not be empty.
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace mnemo
