// What reading and writing the model files of all tasks have in common.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "nn/network.h"

namespace mnemo {

/// The configuration that a model holds. Throws Error if it is none.
Config model_config(const ModelContents& contents);

/// Throws Error where the file has fewer bytes than this many weights need, so that no memory is asked for that the
/// file does not have. `weights` is a double, as a damaged configuration may ask for anything.
void check_stored_weights(const ModelContents& contents, double weights);

/// Views of a network's parameters, its matrices in the precision of `narrow`.
void append_network(Network& network, NarrowTensors& narrow, std::vector<TensorView>& tensors);

/// Rounds a network's matrices to a lower precision, and says so in the metadata; the caller tells the network. Throws
/// Error if they are of a lower precision already, or if a weight is not finite.
void round_network(Network& network, kernels::Precision precision, ModelMetadata& metadata);

/// ModelMetadata::self_test of texts and their values one behind the other, `lengths` of each.
Json samples_json(const std::vector<std::string>& texts, const std::vector<float>& values,
                  const std::vector<std::size_t>& lengths);

/// The stored samples: their texts, and all their values one behind the other. Throws Error if there are none, or if
/// they are damaged.
std::vector<float> self_test_values(const ModelMetadata& metadata, std::vector<std::string>& texts);

/// Of the values now from those that are expected; infinite if one is no number. Throws Error if their numbers differ.
double largest_difference(const std::vector<float>& now, const std::vector<float>& expected);

}  // namespace mnemo
