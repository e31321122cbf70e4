#include "apps/mnemo/data_options.h"

#include "apps/mnemo/terminal.h"
#include "base/error.h"

namespace mnemo {

void add_data_options(Command& command, DataOptions& options, const std::vector<std::string>& formats,
                      const std::string& by_default) {
  command.group("Input");
  command.option("--format-in", "FORMAT", &options.format_in, "Format of the data")
      .one_of(formats)
      .by_default(by_default);
  add_invalid_utf8(command, options.invalid_utf8, "Bytes that are not UTF-8");
}

void add_invalid_utf8(Command& command, std::string& policy, const std::string& help) {
  command.option("--invalid-utf8", "", &policy, help + ": stop, put U+FFFD for them, or drop them")
      .one_of({"error", "replace", "skip"});
}

namespace {

DataFile named_file(const std::string& path) {
  DataFile out;
  out.file = path;
  return out;
}

}  // namespace

bool is_unlabelled(const std::string& format) { return format == "lines" || format == "poems-json"; }

TextSource language_source(const DataOptions& options) {
  if (!options.format_in.empty() && !is_unlabelled(options.format_in))
    throw UsageError(fmt::format("--format-in {}: language models read lines or poems-json", options.format_in));
  return {options.policy(), options.format_in};
}

LabelledTexts read_labelled(const std::string& path, const TextClassifier& model, const DataOptions& options,
                            const std::string& what) {
  DataConfig data = model.config().data;
  if (is_unlabelled(options.format_in))
    throw UsageError(fmt::format("--format-in {}: has no labels", options.format_in));
  if (!options.format_in.empty() && options.format_in != data.format) {
    forget_columns(data, options.format_in);
    data.format = options.format_in;
  }
  data.dir.clear();
  return read_texts({named_file(path)}, data, "", options.policy(), what, say);
}

TaggedSentences read_tagged(const std::string& path, const TextTagger& model, const DataOptions& options,
                            const std::string& what) {
  Config config = model.config();
  if (is_unlabelled(options.format_in)) throw UsageError(fmt::format("--format-in {}: has no tags", options.format_in));
  if (!options.format_in.empty() && options.format_in != config.data.format) {
    forget_columns(config.data, options.format_in);
    config.data.format = options.format_in;
  }
  config.data.dir.clear();
  TaggedSentences out = read_sentences({named_file(path)}, config, "", options.policy(), what, say);
  respell_spans(out, model.columns());
  return out;
}

void forget_columns(DataConfig& data, const std::string& format) {
  // Of conllu columns have names, elsewhere numbers; what stands for the words is the same everywhere.
  const bool words = data.columns.size() == 1 && finds_words(data.columns.front());
  if (!words && (data.format == "conllu") != (format == "conllu") && data.columns.size() < 2) data.columns.clear();
  data.label = data.text = data.separator = "";
  data.header.reset();
  data.phrases = data.multi_label = data.strip_position = false;
}

}  // namespace mnemo
