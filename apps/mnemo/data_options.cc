#include "apps/mnemo/data_options.h"

namespace mnemo {

void add_data_options(CLI::App* command, DataOptions& options) {
  command
      ->add_option("--invalid-utf8", options.invalid_utf8,
                   "Bytes that are not UTF-8: error stops, replace puts U+FFFD, skip drops them")
      ->check(CLI::IsMember({"error", "replace", "skip"}))
      ->capture_default_str();
  command
      ->add_option("--format-in", options.format_in,
                   "Format of the data (default: the one of the configuration; for classify, lines)")
      ->check(CLI::IsMember({"lines", "tsv", "csv", "jsonl", "fasttext", "spaced", "trees"}));
}

void forget_columns(DataConfig& data) {
  data.label = data.text = data.separator = "";
  data.header.reset();
  data.phrases = data.multi_label = false;
}

}  // namespace mnemo
