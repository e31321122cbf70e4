#include "apps/mnemo/adaptation_options.h"

namespace mnemo {

void add_adaptation(Command& command, AdaptationOptions& options) {
  command.group("Language models that learn on the way");
  command
      .option("--cache", "N", &options.cache,
              "Mix in what followed similar states among the last N units (Grave et al. 2017); 0: do not")
      .range(0, 10000000);
  command.option("--cache-flatness", "X", &options.flatness, "With --cache: what states' similarity is multiplied by")
      .range(0, 1000)
      .needs("--cache");
  command.option("--cache-share", "P", &options.share, "With --cache: its share of the probability")
      .range(0, 0.999)
      .needs("--cache");
  command
      .option("--dynamic", "RATE", &options.rate,
              "Learn from what was measured, at this rate (dynamic evaluation, Mikolov et al. 2010); 0: do not")
      .range(0, 1000);
  command.option("--dynamic-steps", "N", &options.steps, "With --dynamic: units between two steps of learning")
      .range(1, 100000)
      .needs("--dynamic");
}

}  // namespace mnemo
