#include "apps/mnemo/adaptation_options.h"

namespace mnemo {

void add_adaptation(Command& command, AdaptationOptions& options) {
  command.group("Adaptation of language models");
  command
      .option(
          "--cache", "N", &options.cache,
          "Mix in the units that followed similar states among the last N (neural cache, Grave et al. 2017); 0: off")
      .range(0, 10000000);
  command.option("--cache-flatness", "X", &options.flatness, "With --cache: factor on the similarity of states")
      .range(0, 1000)
      .needs("--cache");
  command.option("--cache-share", "P", &options.share, "With --cache: its weight in the mixture")
      .range(0, 0.999)
      .needs("--cache");
  command
      .option("--dynamic", "RATE", &options.rate,
              "Train on the text already measured, at this rate (dynamic evaluation, Mikolov et al. 2010); 0: off")
      .range(0, 1000);
  command.option("--dynamic-steps", "N", &options.steps, "With --dynamic: units between two updates")
      .range(1, 100000)
      .needs("--dynamic");
}

}  // namespace mnemo
