#include "config/checks.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/shown.h"
#include "config/option_values.h"
#include "config/options.h"

namespace mnemo {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// Whether the task has the option; if not, its member holds a default that nothing reads.
bool has(const std::string& task, std::string_view key) { return find_option(key)->tasks.has(task); }

void check_data(const DataConfig& d, std::vector<std::string>& errors) {
  if (d.separator.size() > 1 && d.separator != "\\t")
    errors.push_back(fmt::format("data.separator: expected one ASCII character, found \"{}\"", shown(d.separator)));
  if (d.multi_label && d.label_separator.empty())
    errors.emplace_back("data.label_separator: expected a string between labels, found an empty one");
  if (d.max_ratio > 0 && d.max_ratio < 1)
    errors.push_back(
        fmt::format("data.max_ratio: expected 0 or a number from 1, found {}: the longer side would need to be the "
                    "shorter one",
                    d.max_ratio));
  for (auto column = d.columns.begin(); column != d.columns.end(); ++column)
    if (std::find(d.columns.begin(), column, *column) != column)
      errors.push_back(fmt::format("data.columns: {} is given twice", shown(*column)));
}

void check_text(const TextConfig& text, std::vector<std::string>& errors) {
  const NgramConfig& n = text.ngrams;
  if ((n.char_min == 0) != (n.char_max == 0) || n.char_min > n.char_max)
    errors.push_back(
        fmt::format("text.ngrams: char_min {} and char_max {}: expected both 0, or 1 <= char_min <= char_max",
                    n.char_min, n.char_max));
}

void check_model(const std::string& task, const ModelConfig& m, std::vector<std::string>& errors) {
  if (!m.forget_bias.chrono && m.forget_range != ModelConfig().forget_range)
    errors.emplace_back("model.forget_range: only with model.forget_bias chrono");
  // Where a decoder's output has the embedding's size anyway, nothing has to fit.
  if (!m.tied || has(task, "model.attention")) return;
  const std::int64_t outputs = m.projection > 0 ? m.projection : m.hidden;
  if (!m.cutoffs.empty())
    errors.emplace_back("model.cutoffs: an adaptive softmax has weights of its own; set model.tied to false");
  if (m.embedding != outputs)
    errors.push_back(fmt::format("model.tied: model.embedding {} must equal the output size of the last layer, {}",
                                 m.embedding, outputs));
}

void check_training(const TrainingConfig& t, std::vector<std::string>& errors) {
  if (t.optimizer == "adam" && t.weight_decay > 0)
    errors.emplace_back("training.weight_decay: adam does not take it; use \"optimizer\": \"adamw\"");
  if (t.momentum > 0 && t.optimizer != "sgd" && t.optimizer != "rmsprop")
    errors.push_back(fmt::format("training.momentum: {} does not take it; sgd and rmsprop do", t.optimizer));
  if (t.nesterov && t.momentum == 0) errors.emplace_back("training.nesterov: needs training.momentum above 0");
  if (t.bfloat16_exchange() && t.shards == 1)
    errors.emplace_back("training.exchange: needs training.shards above 1; nothing is exchanged without");
  if (t.average_after > 0 && t.average_from > 0)
    errors.emplace_back("training.average_after: not with training.average_from");
  if (t.warmup.unit == Every::Unit::kMinutes)
    errors.emplace_back("training.warmup: expected epochs or steps, found minutes");
  if (t.weight_decay * t.learning_rate >= 1)
    errors.push_back(fmt::format(
        "training.weight_decay: its product with learning_rate is {:.3g}, expected less than 1: each step takes away "
        "this fraction of the weights",
        t.weight_decay * t.learning_rate));
}

// A direction that reads a token's neighbours need not predict them.
void check_language_loss(const Config& c, std::vector<std::string>& errors) {
  if (c.model.language_loss == 0) return;
  if (c.model.convolution.place == "before" && !c.model.convolution.widths.empty())
    errors.emplace_back(
        "model.language_loss: not with model.convolution.place before, by which the recurrent layers read the words "
        "that they are to predict; set it to beside");
  if (c.text.ngrams.unit > 1)
    errors.push_back(fmt::format(
        "model.language_loss: not with n-grams of units, by which the backward direction reads the words that it is "
        "to predict: text.ngrams.unit is {}; set it to 1",
        c.text.ngrams.unit));
}

// The language model that is trained first brings its own vectors.
void check_language_model(const Config& c, std::vector<std::string>& errors) {
  if (trains_language_model_first(c) && !c.text.pretrained.empty())
    errors.push_back(
        fmt::format("text.pretrained: not with {}, whose language model brings its own vectors; omit one of them",
                    language_model_key(c)));
}

// Texts are read in pieces by layers of one direction, whose outputs are pooled one by one.
void check_pieces(const Config& c, std::vector<std::string>& errors) {
  if (c.training.bptt == 0) return;
  const auto refuse = [&](bool given, const char* what) {
    if (given) errors.push_back(fmt::format("training.bptt: texts are read in pieces only without {}", what));
  };
  refuse(c.model.bidirectional, "model.bidirectional");
  refuse(!c.model.convolution.widths.empty(), "model.convolution");
  refuse(c.model.self_attention.layer > 0, "model.self_attention");
  refuse(contains(c.model.pooling.names, "attention"), "model.pooling attention");
}

// The two sides of a translator.
void check_pairs(const Config& c, std::vector<std::string>& errors) {
  if (c.text.joint && !c.text.target_unit.empty() && c.text.target_unit != c.text.unit)
    errors.push_back(
        fmt::format("text.joint: one vocabulary needs one kind of unit, found text.unit {} and "
                    "text.target_unit {}",
                    c.text.unit, c.text.target_unit));
}

// Options that depend on whether the data are records, and on whether these have conditions.
void check_records(const Config& c, std::vector<std::string>& errors) {
  if (!c.data.has_conditions() && c.model.condition_dropout != ModelConfig().condition_dropout)
    errors.emplace_back("model.condition_dropout: only for poems with form, author and title (poems-json)");
  if (c.data.has_records()) {
    if (c.training.rotate)
      errors.emplace_back("training.rotate: not with data.records, whose order is drawn anew for each epoch anyway");
    return;
  }
  if (c.training.batch_tokens > 0)
    errors.emplace_back("training.batch_tokens: needs data.records; one stream is cut by training.bptt");
  if (c.model.learned_initial)
    errors.emplace_back("model.learned_initial: needs data.records; one stream begins only once");
}

// A file that the configuration names, with its key and the format that it is read in.
struct NamedFile {
  std::string key;
  const DataFile* file;
  std::string format;

  bool unlabelled() const { return key == "data.unlabelled"; }
};

std::vector<NamedFile> files_of(const DataConfig& d) {
  std::vector<NamedFile> out;
  for (const auto& [key, files] : {std::pair{"data.train", &d.train}, {"data.dev", &d.dev}, {"data.test", &d.test}})
    for (const DataFile& file : *files) out.push_back({key, &file, file.format.value_or(d.format)});
  for (const DataFile& file : d.unlabelled) out.push_back({"data.unlabelled", &file, file.format.value_or("lines")});
  return out;
}

// Options of the language model that is trained first, where there is none.
void check_language_options(const Config& c, std::vector<std::string>& errors) {
  if (!has(c.task, "training.language_model") || trains_language_model_first(c)) return;
  const auto of_texts = [](const std::string& error) { return error.find("data.unlabelled") != std::string::npos; };
  if (std::ranges::any_of(errors, of_texts)) return;  // it is given, but could not be read
  const TrainingConfig defaults;
  for (const auto& [key, given] :
       {std::pair{"training.language_epochs", c.training.language_epochs != defaults.language_epochs},
        {"training.sampled_softmax", c.training.sampled_softmax != defaults.sampled_softmax}})
    if (given)
      errors.push_back(
          fmt::format("{}: needs a language model that is trained first: training.language_model or "
                      "data.unlabelled",
                      key));
}

// Options of subwords, where neither side has them.
void check_subwords(const Config& c, std::vector<std::string>& errors) {
  const bool target = has(c.task, "text.target_unit");
  if (c.text.unit == "subword" || (target && c.text.target_unit == "subword")) return;
  const TextConfig defaults;
  for (const auto& [key, given] : {std::pair{"text.merges", c.text.merges != defaults.merges},
                                   {"text.merge_dropout", c.text.merge_dropout != defaults.merge_dropout}})
    if (given)
      errors.push_back(fmt::format("{}: needs text.unit{} subword, found {}{}", key,
                                   target ? " or text.target_unit" : "", c.text.unit,
                                   target && !c.text.target_unit.empty() ? " and " + c.text.target_unit : ""));
}

// Files of pairs in tsv have no header by which a column could be named.
void check_columns_of_pairs(const Config& c, std::vector<std::string>& errors) {
  if (std::ranges::none_of(files_of(c.data), [](const NamedFile& file) { return file.format == "tsv"; })) return;
  for (const auto& [key, column] : {std::pair{"data.source", &c.data.source}, {"data.target", &c.data.target}})
    if (!std::ranges::all_of(*column, [](char digit) { return digit >= '0' && digit <= '9'; }) || *column == "0")
      errors.push_back(fmt::format("{}: expected the number of a column, from 1, for the format tsv, found \"{}\"", key,
                                   shown(*column)));
}

std::string without_meaning(const Option& o, const std::string& format) {
  return fmt::format("the format {} has no such key; {} {} it", format, listed(o.formats, "and"),
                     o.formats.size() == 1 ? "has" : "have");
}

// Checks the keys that one file sets for itself.
void check_file(const char* where, const DataFile& file, const std::string& format, const std::string& task,
                std::vector<std::string>& errors) {
  for (const FileKey& key : file_keys()) {
    if (key.write(file).is_null()) continue;
    const Option& o = *find_option(std::string("data.") + key.name);
    if (!o.tasks.has(task))
      errors.push_back(fmt::format("{}: {} of {}: {}", where, key.name, shown(file.file), not_of_task(o.tasks, task)));
    else if (!o.formats.empty() && !contains(o.formats, format))
      errors.push_back(fmt::format("{}: {} of {}: {}", where, key.name, shown(file.file), without_meaning(o, format)));
  }
}

// Refuses an option of `data` that is set although no file's format has it.
void check_formats_of(const Option& o, const Config& c, const Config& defaults, std::vector<std::string>& errors) {
  if (o.formats.empty() || o.write(c) == o.write(defaults)) return;
  const auto files = files_of(c.data);
  const auto takes = [&](const NamedFile& file) { return contains(o.formats, file.format); };
  if (files.empty() ? contains(o.formats, c.data.format) : std::ranges::any_of(files, takes)) return;
  errors.push_back(fmt::format("{}: {}", o.key, without_meaning(o, c.data.format)));
}

}  // namespace

std::string not_of_task(TaskSet tasks, const std::string& task) {
  const bool one = std::ranges::count_if(kTaskNames, [&](const char* name) { return tasks.has(name); }) == 1;
  return fmt::format("the task {} has no such key; {} {} it", task, tasks.names(), one ? "has" : "have");
}

void check_contradictions(const Config& c, std::vector<std::string>& errors) {
  if (c.output.dir.empty()) errors.emplace_back("output.dir: expected a folder, found an empty string");
  check_data(c.data, errors);
  check_text(c.text, errors);
  check_model(c.task, c.model, errors);
  check_training(c.training, errors);
  check_language_model(c, errors);
  check_language_loss(c, errors);
  if (has(c.task, "model.pooling")) check_pieces(c, errors);
  if (has(c.task, "data.records") && c.training.bptt == 0)
    errors.emplace_back("training.bptt: expected at least 1 step, found 0");
  if (c.training.sampled_softmax > 0 && !c.model.cutoffs.empty())
    errors.emplace_back(
        "training.sampled_softmax: not with model.cutoffs, an adaptive softmax, which never sums over all units; set "
        "one of the two to its default");
  if (c.data.multi_label && c.training.early_stopping.metric == "auc")
    errors.emplace_back("training.early_stopping.metric: auc is for two classes, not for data.multi_label");
  if (has(c.task, "text.joint")) check_pairs(c, errors);
  if (has(c.task, "model.crf") && c.model.crf && c.training.label_smoothing > 0)
    errors.emplace_back("training.label_smoothing: not with model.crf");
}

void check_data_files(const Config& c, std::vector<std::string>& errors) {
  for (const NamedFile& named : files_of(c.data)) {
    const auto& [where, file, format] = named;
    std::vector<std::string> known = values_of(data_formats(), c.task);
    if (named.unlabelled()) known.emplace_back("lines");
    if (file->format && !contains(known, format))
      errors.push_back(fmt::format("{}: format of {}: {} is not a format of the task {}; expected {}", where,
                                   shown(file->file), format, c.task, fmt::join(known, ", ")));
    else
      check_file(where.c_str(), *file, format, c.task, errors);
    if ((format == "parallel") != file->target.has_value() && contains(known, format))
      errors.push_back(fmt::format(
          "{}: {}: the format {} needs {}", where, shown(file->file), format,
          file->target ? "one file, found \"source\" and \"target\"" : "{\"source\": path, \"target\": path}"));
  }
  if (has(c.task, "data.source")) check_columns_of_pairs(c, errors);
  check_subwords(c, errors);
  check_language_options(c, errors);
  const Config defaults;
  for (const Option& o : options())
    if (o.tasks.has(c.task)) check_formats_of(o, c, defaults, errors);
  if (has(c.task, "data.records")) check_records(c, errors);
}

}  // namespace mnemo
