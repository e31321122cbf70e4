// The name that a mistyped one most likely meant.
#pragma once

#include <string>
#include <vector>

namespace mnemo {

/// The candidate of the least edit distance (Levenshtein) to `name`; the first of several. A candidate that ends in
/// `name` after a dot wins outright: "epochs" means "training.epochs". `candidates` must not be empty.
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace mnemo
