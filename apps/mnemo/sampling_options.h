// The options of every command that draws text.
#pragma once

#include <cstdint>
#include <string>

#include "apps/mnemo/command_line.h"
#include "decode/sampler.h"

namespace mnemo {

/// Adds --seed, --temperature, --top-k, --top-p and --min-p, allowed only together with the option `needed`, if one is
/// named.
void add_sampling(Command& command, SamplingOptions& sampling, std::uint64_t& seed, const std::string& needed = "");

}  // namespace mnemo
