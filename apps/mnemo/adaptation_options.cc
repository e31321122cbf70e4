#include "apps/mnemo/adaptation_options.h"

#include "apps/mnemo/commands.h"

namespace mnemo {

void add_adaptation(CLI::App* command, AdaptationOptions& options) {
  auto* cache =
      command
          ->add_option(
              "--cache", options.cache,
              "Language models: mix in what followed similar states among the last N units (Grave et al. 2017); 0: "
              "do not")
          ->check(CLI::Range(0, 10000000))
          ->capture_default_str();
  command->add_option("--cache-flatness", options.flatness, "With --cache: what states' similarity is multiplied by")
      ->check(number_from(0.0, 1000.0))
      ->needs(cache)
      ->capture_default_str();
  command->add_option("--cache-share", options.share, "With --cache: its share of the probability")
      ->check(number_from(0.0, 0.999))
      ->needs(cache)
      ->capture_default_str();
  auto* dynamic =
      command
          ->add_option(
              "--dynamic", options.rate,
              "Language models: learn from what was measured, at this rate (dynamic evaluation, Mikolov et al. "
              "2010); 0: do not")
          ->check(number_from(0.0, 1000.0))
          ->capture_default_str();
  command->add_option("--dynamic-steps", options.steps, "With --dynamic: units between two steps of learning")
      ->check(CLI::Range(1, 100000))
      ->needs(dynamic)
      ->capture_default_str();
}

std::unique_ptr<TextLanguageModel> load_for(const AdaptationOptions& options, ModelContents contents) {
  if (options.rate > 0) return load_without_dropout(std::move(contents));
  return TextLanguageModel::from_contents(std::move(contents));
}

}  // namespace mnemo
