// The random streams of a network's masks, in one place so that no two masks of a network are equal.
#pragma once

#include <cstdint>

namespace mnemo::mask_streams {

// Dropout between the layers of a `Recurrent` takes its number of the layer, and the masks inside a layer one of the
// bases below plus twice the layer plus the direction. Layers are at most 32, so the streams of a network's n-th
// `Recurrent` start at n times this, n < 4.
inline constexpr std::uint32_t kPerRecurrent = 0x40;

// Added to the same: what a block of self-attention adds to its input.
inline constexpr std::uint32_t kAttended = 0x20, kFedForward = 0x21;

// Of models: the input's, the output's, and the third, of those that have one: characters of words, whole units. Of
// translators also: the target's input and whole units, and the context.
inline constexpr std::uint32_t kInput = 0x100, kOutput = 0x101, kCharacters = 0x102, kUnits = 0x102,
                               kTargetInput = 0x103, kTargetUnits = 0x104, kContext = 0x105;

inline constexpr std::uint32_t kState = 0x1000, kWeights = 0x2000, kZoneoutH = 0x3000, kZoneoutC = 0x4000;

}  // namespace mnemo::mask_streams
