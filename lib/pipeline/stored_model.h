// The parts of reading and writing model files that all tasks share.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "nn/network.h"
#include "text/vocabulary.h"

namespace mnemo {

/// The configuration stored in a model. Throws Error with the first problem, and the version that made the model, if it
/// is not valid in this one.
Config model_config(const ModelContents& contents);

/// Throws Error if the file has fewer bytes than this many weights need, so that no memory is allocated that the file
/// cannot fill. `weights` is a double, as a damaged configuration may ask for any size.
void check_stored_weights(const ModelContents& contents, double weights);

/// The vocabulary that a tensor holds. Throws Error if the tensor is missing or damaged.
Vocabulary stored_vocabulary(const SafetensorsFile& file, const char* name);

/// Views of a network's parameters, its matrices in the precision of `narrow`.
void append_network(Network& network, NarrowTensors& narrow, std::vector<TensorView>& tensors);

/// Rounds a network's matrices to a lower precision and sets it in the metadata; the caller sets it in the network.
/// Throws Error if they already have a lower precision, or if a weight is not finite.
void round_network(Network& network, kernels::Precision precision, ModelMetadata& metadata);

/// ModelMetadata::self_test from texts and their values, concatenated; `lengths` has the number of each text's values.
Json samples_json(const std::vector<std::string>& texts, const std::vector<float>& values,
                  const std::vector<std::size_t>& lengths);

/// The stored samples: their texts, and the concatenation of their values. Throws Error if there are none, or if they
/// are damaged.
std::vector<float> self_test_values(const ModelMetadata& metadata, std::vector<std::string>& texts);

/// The largest difference of the current values from the expected ones; infinite if one is NaN. Throws Error if there
/// are more of one than of the other.
double largest_difference(const std::vector<float>& now, const std::vector<float>& expected);

}  // namespace mnemo
