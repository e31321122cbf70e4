// Initialisation of weights.
#pragma once

#include <cstdint>

#include "nn/parameter.h"

namespace mnemo {

/// Initialisation of a model's matrices.
///   orthogonal  Glorot uniform for products with inputs, orthogonal for the recurrent ones, biases zero
///   glorot      Glorot uniform for all, biases zero
///   uniform     as PyTorch's layers: all weights and biases uniform in +-1/sqrt(H), dense layers in +-1/sqrt(inputs)
/// Each gate of a cell counts as a matrix of its own.
enum class Initialiser { kOrthogonal, kGlorot, kUniform };

/// A tensor's random stream is named by the seed and a hash of the parameter's name, so adding a layer does not change
/// the initial values of the others.
void initialise_uniform(Parameter& parameter, float bound, std::uint64_t seed);
void initialise_normal(Parameter& parameter, float deviation, std::uint64_t seed);

/// Glorot & Bengio 2010: uniform in +-sqrt(6 / (fan_in + fan_out)); rows [begin, begin + rows) of a matrix.
void initialise_glorot(Parameter& parameter, Index begin, Index rows, std::uint64_t seed);

/// A random orthogonal square (Saxe et al. 2014) in rows [begin, begin + columns): Gram-Schmidt, in double precision,
/// on normal rows.
void initialise_orthogonal(Parameter& parameter, Index begin, std::uint64_t seed);

/// Chrono initialisation (Tallec & Ollivier 2018): log(u) with u uniform in [1, range - 1], for the `rows` biases from
/// `begin` on of a gate that keeps the state. With such a bias and no input a unit forgets with the time constant
/// 1 + u, so the units' time constants are uniform from 2 to `range`, in steps. `range` is at least 2.
void initialise_chrono(Parameter& parameter, Index begin, Index rows, double range, std::uint64_t seed);

}  // namespace mnemo
