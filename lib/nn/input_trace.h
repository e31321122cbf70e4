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

/// The input times the trace's factors, which is noted in the trace. Internal to this folder.
Activation scaled_input(Tape& tape, const Activation& x, InputTrace& trace);

}  // namespace mnemo
