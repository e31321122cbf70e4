// The vectors that a recurrent network is given for its units, multiplied by factors: for asking what each unit
// contributes. A factor of 0 leaves a unit's vector out, others lie on the way from no input to the whole one.
#pragma once

#include <string>
#include <vector>

#include "nn/tape.h"

namespace mnemo {

struct InputTrace {
  std::string network;         ///< the name of the `Recurrent` whose input is meant
  std::vector<float> factors;  ///< [N], in the packing's order
  Activation given, scaled;    ///< out: [N, I], valid as long as the tape's arena
};

/// What the network of this name is given: the input or, once for each tape whose trace means the network, the input
/// times the trace's factors, which is noted in the trace. A model whose input goes to other layers, too, calls it
/// first.
Activation traced_input(Tape& tape, const std::string& network, const Activation& x);

}  // namespace mnemo
