#include "apps/mnemo/sampling_options.h"

namespace mnemo {

void add_sampling(Command& command, SamplingOptions& sampling, std::uint64_t& seed, const std::string& needed) {
  constexpr double kLargestSeed = 9e15;  // as training.seed
  const auto limited = [&](CommandOption& option, double most) {
    option.range(0, most);
    if (!needed.empty()) option.needs(needed);
  };
  limited(command.option("-s,--seed", "S", &seed, "Seed of the sampling"), kLargestSeed);
  limited(command.option("-t,--temperature", "T", &sampling.temperature,
                         "Below 1 favours likely units, above 1 unlikely ones; 0: the likeliest"),
          1000);
  limited(command.option("-k,--top-k", "K", &sampling.top_k, "Only the K most probable units; 0: all"), 1000000000);
  limited(command.option("--top-p", "P", &sampling.top_p, "Only the fewest units that together have this probability"),
          1);
  limited(command.option("--min-p", "P", &sampling.min_p,
                         "Only units at least this fraction as probable as the most probable one"),
          1);
}

}  // namespace mnemo
