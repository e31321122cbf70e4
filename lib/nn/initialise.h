// First values of weights.
#pragma once

#include <cstdint>

#include "nn/parameter.h"

namespace mnemo {

/// How the matrices of a model begin.
///   orthogonal  Glorot's uniform for products with inputs, orthogonal for the recurrent ones, biases zero
///   glorot      Glorot's uniform for all, biases zero
///   uniform     what PyTorch's layers do: everything, biases too, uniform in +-1/sqrt(H), or 1/sqrt(inputs) for a
///   dense
///               layer
/// Each gate of a cell is a matrix of its own.
enum class Initialiser { kOrthogonal, kGlorot, kUniform };

/// Names the stream of one tensor: the seed, and a hash of the parameter's name, so that adding a layer does not change
/// the first values of the others.
void initialise_uniform(Parameter& parameter, float bound, std::uint64_t seed);
void initialise_normal(Parameter& parameter, float deviation, std::uint64_t seed);

/// Glorot & Bengio 2010: uniform in +-sqrt(6 / (fan_in + fan_out)); rows [begin, begin + rows) of a matrix.
void initialise_glorot(Parameter& parameter, Index begin, Index rows, std::uint64_t seed);

/// A random orthogonal square (Saxe et al. 2014) in rows [begin, begin + columns): Gram-Schmidt, in double precision,
/// on normal rows.
void initialise_orthogonal(Parameter& parameter, Index begin, std::uint64_t seed);

}  // namespace mnemo
