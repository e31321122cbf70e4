// The name most likely meant by a mistyped one.
#pragma once

#include <string>
#include <vector>

namespace mnemo {

/// The candidate with the smallest edit distance to `name` (letters that differ, are missing, too many, or swapped); of
/// several the first. A candidate that ends in a dot and `name` wins outright: "epochs" means "training.epochs".
/// `candidates` must not be empty.
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

/// The same, but an empty string where no candidate is near: where more than half of the longer name, without dashes
/// before it, would have to change. Two letters that changed places count as one change.
std::string nearest_if_near(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace mnemo
