#include "config/options.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <new>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "config/nearest.h"

namespace mnemo {
namespace {

// What a value may be, beyond its type.
struct Range {
  double low, high;
};
using Choices = std::vector<std::string>;
struct Anything {};

std::string found(const Json& value) { return shown(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60); }

std::int64_t read_value(const Json& value, std::int64_t, const Range& range) {
  const bool whole =
      value.is_number_integer() ||
      (value.is_number_float() && value == std::floor(value.get<double>()) && std::abs(value.get<double>()) < 9e15);
  if (!whole) fail("expected a whole number, found {}", found(value));
  if (const double v = value.get<double>(); v < range.low || v > range.high)
    fail("expected a whole number from {} to {}, found {}", range.low, range.high, found(value));
  return value.is_number_float() ? static_cast<std::int64_t>(value.get<double>()) : value.get<std::int64_t>();
}

std::vector<std::int64_t> read_value(const Json& value, const std::vector<std::int64_t>&, const Range& range) {
  if (!value.is_array()) fail("expected an array of whole numbers, found {}", found(value));
  std::vector<std::int64_t> out;
  for (const Json& item : value) {
    out.push_back(read_value(item, std::int64_t{}, range));
    if (out.size() > 1 && out[out.size() - 2] >= out.back()) fail("expected ascending numbers, found {}", found(value));
  }
  return out;
}

double read_value(const Json& value, double, const Range& range) {
  if (!value.is_number()) fail("expected a number, found {}", found(value));
  const double v = value.get<double>();
  if (!(v >= range.low && v <= range.high)) fail("expected a number from {} to {}, found {}", range.low, range.high, v);
  return v;
}

bool read_value(const Json& value, bool, Anything) {
  if (!value.is_boolean()) fail("expected true or false, found {}", found(value));
  return value.get<bool>();
}

std::string read_value(const Json& value, const std::string&, Anything) {
  if (!value.is_string()) fail("expected a text, found {}", found(value));
  return value.get<std::string>();
}

std::string read_value(const Json& value, const std::string&, const Choices& choices) {
  std::string text = value.is_string() ? value.get<std::string>() : std::string();
  if (std::find(choices.begin(), choices.end(), text) == choices.end())
    fail("expected one of {}, found {}", fmt::join(choices, ", "), found(value));
  return text;
}

std::optional<bool> read_value(const Json& value, const std::optional<bool>&, Anything) {
  if (value.is_null()) return std::nullopt;
  return read_value(value, false, Anything{});
}

// A column: its number from 1, or its name in the header.
struct Column {};
std::string read_value(const Json& value, const std::string&, Column) {
  if (value.is_number_integer() && value.get<std::int64_t>() >= 1) return std::to_string(value.get<std::int64_t>());
  if (!value.is_string()) fail("expected a column's number from 1 or its name, found {}", found(value));
  return value.get<std::string>();
}

std::vector<std::string> read_value(const Json& value, const std::vector<std::string>&, Column column) {
  std::vector<std::string> out;
  if (!value.is_array()) return {read_value(value, std::string(), column)};
  for (const Json& item : value) out.push_back(read_value(item, std::string(), column));
  return out;
}

Every read_value(const Json& value, const Every&, Anything) {
  static const std::vector<std::pair<std::string, Every::Unit>> units{
      {"epoch", Every::Unit::kEpochs}, {"step", Every::Unit::kSteps}, {"minute", Every::Unit::kMinutes}};
  const auto wrong = [&] {
    fail("expected a number of epochs or a text such as \"500 steps\", \"2 epochs\" or \"10 minutes\", found {}",
         found(value));
  };
  Every out;
  if (value.is_number()) {
    out.count = value.get<double>();
  } else if (value.is_string()) {
    char unit[16] = {};
    int used = 0;
    const std::string text = value.get<std::string>();
    if (std::sscanf(text.c_str(), "%lf %15[a-z]%n", &out.count, unit, &used) != 2 ||
        used != static_cast<int>(text.size()))
      wrong();
    const auto match = std::find_if(units.begin(), units.end(),
                                    [&](const auto& u) { return u.first == unit || u.first + "s" == unit; });
    if (match == units.end()) wrong();
    out.unit = match->second;
  } else {
    wrong();
  }
  if (!(out.count >= 0 && out.count <= 1e12)) wrong();
  return out;
}

ClassWeight read_value(const Json& value, const ClassWeight&, Anything) {
  ClassWeight out;
  if (value == "none") return out;
  if (value == "balanced") {
    out.balanced = true;
    return out;
  }
  if (!value.is_object() || value.empty())
    fail("expected \"none\", \"balanced\" or an object of label: weight, found {}", found(value));
  for (const auto& [label, weight] : value.items()) out.table[label] = read_value(weight, 0.0, Range{0, 1e6});
  return out;
}

const Choices& data_formats() {
  static const Choices names{"tsv",   "csv",    "jsonl",   "fasttext", "spaced",    "trees",
                             "conll", "conllu", "slashed", "lines",    "poems-json"};
  return names;
}

DataFile read_file_entry(const Json& value) {
  DataFile out;
  if (value.is_string()) {
    out.file = value.get<std::string>();
    return out;
  }
  if (!value.is_object()) fail("expected a path or an object with \"file\", found {}", found(value));
  for (const auto& [key, item] : value.items()) {
    if (key == "file")
      out.file = read_value(item, std::string(), Anything{});
    else if (key == "format")
      out.format = read_value(item, std::string(), data_formats());
    else if (key == "label")
      out.label = read_value(item, std::string(), Column{});
    else if (key == "text")
      out.text = read_value(item, std::string(), Column{});
    else if (key == "separator")
      out.separator = read_value(item, std::string(), Anything{});
    else if (key == "label_separator")
      out.label_separator = read_value(item, std::string(), Anything{});
    else if (key == "header")
      out.header = read_value(item, false, Anything{});
    else if (key == "phrases")
      out.phrases = read_value(item, false, Anything{});
    else
      fail(
          "unknown key \"{}\" of a data file; valid are file, format, label, text, separator, label_separator, "
          "header, phrases",
          shown(key));
  }
  if (out.file.empty()) fail("expected a path, or an object with one as \"file\", found {}", found(value));
  return out;
}

std::vector<DataFile> read_value(const Json& value, const std::vector<DataFile>&, Anything) {
  std::vector<DataFile> out;
  if (value.is_string() && value.get_ref<const std::string&>().empty()) return out;
  if (!value.is_array()) return {read_file_entry(value)};
  for (const Json& item : value) out.push_back(read_file_entry(item));
  return out;
}

Json write_value(const Every& v) {
  static const char* const names[] = {"epochs", "steps", "minutes"};
  if (v.unit == Every::Unit::kEpochs) return v.count;
  return fmt::format("{} {}", v.count, names[static_cast<int>(v.unit)]);
}

Json write_value(const ClassWeight& v) {
  if (v.balanced) return "balanced";
  if (v.table.empty()) return "none";
  Json out = Json::object();
  for (const auto& [label, weight] : v.table) out[label] = weight;
  return out;
}

Json write_value(const std::vector<DataFile>& files) {
  Json out = Json::array();
  for (const DataFile& f : files) {
    Json entry{{"file", f.file}};
    if (f.format) entry["format"] = *f.format;
    if (f.label) entry["label"] = *f.label;
    if (f.text) entry["text"] = *f.text;
    if (f.separator) entry["separator"] = *f.separator;
    if (f.label_separator) entry["label_separator"] = *f.label_separator;
    if (f.header) entry["header"] = *f.header;
    if (f.phrases) entry["phrases"] = *f.phrases;
    out.push_back(entry.size() == 1 ? Json(f.file) : entry);
  }
  return out;
}

Json write_value(const std::optional<bool>& v) { return v ? Json(*v) : Json(nullptr); }
template <class T>
Json write_value(const T& v) {
  return v;
}

Json schema_of(std::int64_t, const Range& r) { return {{"type", "integer"}, {"minimum", r.low}, {"maximum", r.high}}; }
Json schema_of(const std::vector<std::int64_t>&, const Range& r) {
  return {{"type", "array"}, {"items", {{"type", "integer"}, {"minimum", r.low}, {"maximum", r.high}}}};
}
Json schema_of(double, const Range& r) { return {{"type", "number"}, {"minimum", r.low}, {"maximum", r.high}}; }
Json schema_of(bool, Anything) { return {{"type", "boolean"}}; }
Json schema_of(const std::string&, Anything) { return {{"type", "string"}}; }
Json schema_of(const std::string&, const Choices& choices) { return {{"enum", choices}}; }
Json schema_of(const std::string&, Column) { return {{"type", Json::array({"string", "integer"})}}; }
Json schema_of(const std::vector<std::string>&, Column) {
  return {{"type", Json::array({"array", "string", "integer"})}};
}
Json schema_of(const std::optional<bool>&, Anything) { return {{"type", Json::array({"boolean", "null"})}}; }
Json schema_of(const Every&, Anything) { return {{"type", Json::array({"number", "string"})}}; }
Json schema_of(const ClassWeight&, Anything) { return {{"type", Json::array({"string", "object"})}}; }
Json schema_of(const std::vector<DataFile>&, Anything) {
  return {{"type", Json::array({"string", "array", "object"})}};
}

template <class T>
constexpr bool kIsText =
    std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>> || std::is_same_v<T, Every> ||
    std::is_same_v<T, ClassWeight> || std::is_same_v<T, std::vector<DataFile>>;

enum class Place { kModel, kLocal };

// Makes an option of its key, the member it sets, what the value may be, and its help.
template <class Member, class Constraint>
Option option(std::string key, Member member, Constraint constraint, std::string help, Place place = Place::kModel) {
  using T = std::decay_t<decltype(member(std::declval<Config&>()))>;
  Config defaults;
  Json schema = schema_of(T{}, constraint);
  schema["default"] = write_value(member(defaults));
  schema["description"] = help;
  return {std::move(key),
          std::move(help),
          std::move(schema),
          place == Place::kLocal,
          kIsText<T>,
          [member, constraint](Config& c, const Json& value) { member(c) = read_value(value, T{}, constraint); },
          [member](const Config& c) { return write_value(member(const_cast<Config&>(c))); },
          TaskSet::all()};
}

#define MNEMO_MEMBER(path) \
  [](Config & c) -> auto& { return c.path; }

constexpr double kMany = 1e9;

// Long because it is a table: an option a row.
std::vector<Option> data_options() {
  const Anything any;
  const Place local = Place::kLocal;
  return {
      option("data.dir", MNEMO_MEMBER(data.dir), any,
             "Folder that the paths of data and of text.pretrained start at; empty: the configuration file's.", local),
      option("data.train", MNEMO_MEMBER(data.train), any,
             "Training data: a path, a list of paths, or objects {\"file\": path, \"format\": ...} whose keys override "
             "those of data for that file.",
             local),
      option("data.dev", MNEMO_MEMBER(data.dev), any,
             "Data that all choices are made on: the best epoch, early stopping, the temperature. Empty: dev_fraction "
             "of train.",
             local),
      option("data.test", MNEMO_MEMBER(data.test), any,
             "Data for the last evaluation of a run; nothing is chosen by it.", local),
      option(
          "data.format", MNEMO_MEMBER(data.format), data_formats(),
          "tsv: label, tab, text. csv: quoted, with header. jsonl: an object a line. fasttext: __label__X first. "
          "spaced: label, blank, text. trees: Penn brackets with labels. For tag conll, its default: a token and its "
          "tags a line; "
          "conllu; slashed: word/tag, the tag behind the last slash; jsonl: an object with spans of characters. For "
          "generate lines, its default: a text's lines; poems-json: an array of poems with title, author and "
          "paragraphs, as the collection chinese-poetry has them. A .gz file is read as what it holds."),
      option("data.label", MNEMO_MEMBER(data.label), Column{},
             "Column (from 1, or its name in the header) or JSON key of the label, of tag of the spans; empty: the "
             "format's usual one.")
          .only(kClassify | kTag),
      option("data.text", MNEMO_MEMBER(data.text), Column{},
             "Column or JSON key of the text, or of a token; empty: the format's usual one.")
          .only(kClassify | kTag),
      option("data.columns", MNEMO_MEMBER(data.columns), Column{},
             "Columns that are predicted, from 1, or by conllu's names such as upos; empty: the last one, or upos. "
             "words: the words themselves, found in their characters; tagged-words: with the tag that each has.")
          .only(kTag),
      option("data.scheme", MNEMO_MEMBER(data.scheme),
             Choices{"auto", "none", "iob1", "bio", "ioe2", "bioes", "bmes", "bilou"},
             "How tags spell spans; none: they stand for themselves; auto: as the tags of train look.")
          .only(kTag),
      option("data.records", MNEMO_MEMBER(data.records), any,
             "Each line is a text of its own, with a beginning and an end, in place of one stream over all; "
             "poems-json always is.")
          .only(kGenerate),
      option("data.strip_position", MNEMO_MEMBER(data.strip_position), any,
             "conll: drop one digit at the end of tokens of two characters and more.")
          .only(kTag),
      option("data.header", MNEMO_MEMBER(data.header), any,
             "Whether the first row names the columns; null: csv yes, tsv no.")
          .only(kClassify),
      option("data.separator", MNEMO_MEMBER(data.separator), any,
             "Character between columns; empty: csv a comma, conll any run of blanks and tabs.")
          .only(kClassify | kTag),
      option("data.multi_label", MNEMO_MEMBER(data.multi_label), any,
             "Whether a text may have several labels, or none.")
          .only(kClassify),
      option("data.label_separator", MNEMO_MEMBER(data.label_separator), any,
             "Text between several labels in one column.")
          .only(kClassify),
      option("data.phrases", MNEMO_MEMBER(data.phrases), any,
             "trees: every phrase that is not neutral once, labels 0,1 as 0 and 3,4 as 1, lower-cased; else the whole "
             "sentence with its label.")
          .only(kClassify),
      option("data.dev_fraction", MNEMO_MEMBER(data.dev_fraction), Range{0, 0.9},
             "Share of train kept out as dev where data.dev is empty: equal texts on one side, of one stream the last "
             "part."),
      option("data.dev_seed", MNEMO_MEMBER(data.dev_seed), Range{0, kMany},
             "Seed of that choice, independent of training.seed."),
  };
}

std::vector<Option> text_options() {
  const Anything any;
  const Place local = Place::kLocal;
  return {
      option("text.unit", MNEMO_MEMBER(text.unit), Choices{"char", "grapheme", "word", "unicode-word"},
             "char: code points. grapheme: what a reader sees as one character. word: between blanks. unicode-word: by "
             "Unicode's word boundaries (UAX #29)."),
      option("text.normalize", MNEMO_MEMBER(text.normalize), Choices{"nfc", "nfkc", "none"},
             "Unicode normalisation; nfc leaves full-width Chinese punctuation alone."),
      option("text.lowercase", MNEMO_MEMBER(text.lowercase), any, "Look units up in lower case."),
      option("text.digits", MNEMO_MEMBER(text.digits), Choices{"keep", "zero"},
             "zero: look units up with every digit as 0."),
      option("text.min_count", MNEMO_MEMBER(text.min_count), Range{1, kMany},
             "Units that occur less often in train are unknown."),
      option("text.max_vocab", MNEMO_MEMBER(text.max_vocab), Range{0, kMany},
             "Most frequent units that are kept; 0: all."),
      option("text.ngrams.char_min", MNEMO_MEMBER(text.ngrams.char_min), Range{0, 20},
             "Shortest hashed character n-gram of a unit, whose mean is added to its vector (Bojanowski et al. 2017); "
             "0: none.")
          .only(kClassify | kTag),
      option("text.ngrams.char_max", MNEMO_MEMBER(text.ngrams.char_max), Range{0, 20},
             "Longest hashed character n-gram of a unit; 0: none.")
          .only(kClassify | kTag),
      option("text.ngrams.unit", MNEMO_MEMBER(text.ngrams.unit), Range{1, 5},
             "Longest hashed n-gram of units, added to the unit's embedding; 1: none, 2: bigrams too.")
          .only(kClassify | kTag),
      option("text.ngrams.buckets", MNEMO_MEMBER(text.ngrams.buckets), Range{1, 1e8},
             "Rows of the table that n-grams are hashed into.")
          .only(kClassify | kTag),
      option("text.pretrained", MNEMO_MEMBER(text.pretrained), any,
             "File of word vectors in GloVe's or word2vec's text form, also .gz; empty: none.", local)
          .only(kClassify | kTag),
      option("text.pretrained_vocabulary", MNEMO_MEMBER(text.pretrained_vocabulary), Choices{"train", "all"},
             "all: vectors of words that train lacks are kept too, fixed, so that the model needs no other file.")
          .only(kClassify | kTag),
      option("text.pretrained_limit", MNEMO_MEMBER(text.pretrained_limit), Range{0, kMany},
             "Most such words, in the file's order; 0: no limit.")
          .only(kClassify | kTag),
      option("text.pretrained_tune", MNEMO_MEMBER(text.pretrained_tune), any,
             "Whether the vectors that the file has for words of train are trained on; other words and n-grams always "
             "are.")
          .only(kClassify | kTag),
      option("text.pretrained_rate", MNEMO_MEMBER(text.pretrained_rate), Range{0, 1},
             "With text.pretrained: what training.learning_rate is multiplied by for the table of vectors.")
          .only(kClassify | kTag),
  };
}

// Long because it is a table: an option a row.
std::vector<Option> model_options() {
  const Anything any;
  return {
      option("model.cell", MNEMO_MEMBER(model.cell),
             Choices{"lstm", "gru", "rnn", "peephole_lstm", "cifg_lstm", "min_lstm", "min_gru"},
             "The recurrent cell. gru: Cho et al. 2014; peephole_lstm: Gers & Schmidhuber 2000; cifg_lstm: coupled "
             "input and forget gates, Greff et al. 2015; min_lstm, min_gru: gates that do not see the state, Feng et "
             "al. 2024."),
      option("model.reset_after", MNEMO_MEMBER(model.reset_after), any,
             "gru: the reset gate after the recurrent product, as PyTorch and cuDNN; false: before it, as the paper."),
      option("model.activation", MNEMO_MEMBER(model.activation), Choices{"tanh", "relu"}, "rnn: its activation."),
      option("model.layer_norm", MNEMO_MEMBER(model.layer_norm), any,
             "lstm: layer normalisation of the gates' sums and of the cell (Ba et al. 2016)."),
      option("model.projection", MNEMO_MEMBER(model.projection), Range{0, 16384},
             "lstm: outputs of one direction, fewer than hidden (Sak et al. 2014); 0: no projection."),
      option("model.bidirectional", MNEMO_MEMBER(model.bidirectional), any, "Read the text in both directions."),
      option("model.layers", MNEMO_MEMBER(model.layers), Range{1, 32}, "Recurrent layers."),
      option("model.hidden", MNEMO_MEMBER(model.hidden), Range{1, 16384}, "Hidden units of one direction."),
      option("model.embedding", MNEMO_MEMBER(model.embedding), Range{1, 16384},
             "Numbers of a unit's vector; with text.pretrained the file's."),
      option("model.pooling", MNEMO_MEMBER(model.pooling), Choices{"last", "mean", "max", "attention"},
             "How the outputs of all steps become one vector; last: the forward direction's last and the backward "
             "direction's first.")
          .only(kClassify),
      option("model.dropout", MNEMO_MEMBER(model.dropout), Range{0, 0.95}, "Dropout before the output layer."),
      option("model.embedding_dropout", MNEMO_MEMBER(model.embedding_dropout), Range{0, 0.95},
             "Dropout on the embeddings."),
      option("model.layer_dropout", MNEMO_MEMBER(model.layer_dropout), Range{0, 0.95},
             "Dropout between recurrent layers."),
      option("model.variational", MNEMO_MEMBER(model.variational), any,
             "One dropout mask for all steps of a text (Gal & Ghahramani 2016), for embedding and layer dropout."),
      option("model.state_dropout", MNEMO_MEMBER(model.state_dropout), Range{0, 0.95},
             "Dropout on the state before the recurrent product, one mask a text (Gal & Ghahramani 2016)."),
      option("model.weight_dropout", MNEMO_MEMBER(model.weight_dropout), Range{0, 0.95},
             "Dropout on the elements of the recurrent weights, one mask a batch (DropConnect, Merity et al. 2017)."),
      option("model.zoneout_h", MNEMO_MEMBER(model.zoneout_h), Range{0, 0.95},
             "Chance that a unit's output keeps its previous value in training (Krueger et al. 2016); afterwards that "
             "share of "
             "it is mixed in. Not with a projection."),
      option("model.zoneout_c", MNEMO_MEMBER(model.zoneout_c), Range{0, 0.95}, "The same of the cell state."),
      option("model.residual", MNEMO_MEMBER(model.residual), Choices{"none", "add", "highway"},
             "What each layer but the first gives on. add: its input too (He et al. 2016); highway: a learned mixture "
             "of input and output (Srivastava et al. 2015)."),
      option("model.learned_initial", MNEMO_MEMBER(model.learned_initial), any,
             "Texts begin with a state that is learned, not zero."),
      option("model.word_dropout", MNEMO_MEMBER(model.word_dropout), Range{0, 0.95},
             "Share of units whose own vector is read as the unknown one in training; their n-grams stay.")
          .only(kClassify | kTag),
      option("model.char_encoder.kind", MNEMO_MEMBER(model.char_encoder.kind), Choices{"none", "cnn", "bilstm"},
             "What reads the characters of each word. cnn: a convolution of three and the largest over time (Ma & "
             "Hovy 2016); bilstm: the last states of both directions (Lample et al. 2016).")
          .only(kTag),
      option("model.char_encoder.embedding", MNEMO_MEMBER(model.char_encoder.embedding), Range{1, 4096},
             "Numbers of a character's vector.")
          .only(kTag),
      option("model.char_encoder.hidden", MNEMO_MEMBER(model.char_encoder.hidden), Range{1, 4096},
             "Filters, or units of one direction.")
          .only(kTag),
      option("model.char_encoder.dropout", MNEMO_MEMBER(model.char_encoder.dropout), Range{0, 0.95},
             "Dropout on the characters' vectors.")
          .only(kTag),
      option("model.shape_embedding", MNEMO_MEMBER(model.shape_embedding), Range{0, 4096},
             "Numbers of a vector for how a word is capitalised and whether it has digits; 0: none.")
          .only(kTag),
      option("model.singleton_dropout", MNEMO_MEMBER(model.singleton_dropout), Range{0, 1},
             "Chance in training that a word which occurs once in train is read as unknown.")
          .only(kTag),
      option("model.crf", MNEMO_MEMBER(model.crf), any,
             "A linear-chain CRF over a sentence's tags; false: each token by itself. Tags that the scheme forbids "
             "behind one another are never predicted.")
          .only(kTag),
      option("model.scheme", MNEMO_MEMBER(model.scheme), Choices{"bio", "bioes"},
             "How the model spells spans inside; the data's own spelling is read and written.")
          .only(kTag),
      option("model.tied", MNEMO_MEMBER(model.tied), any,
             "The output's weight is the table of embeddings (Press & Wolf 2017); model.embedding is then as "
             "many as the last layer's outputs.")
          .only(kGenerate),
      option("model.cutoffs", MNEMO_MEMBER(model.cutoffs), Range{1, 1e9},
             "An adaptive softmax for large vocabularies (Grave et al. 2017): how many of the most frequent "
             "units share the first softmax, and where each next cluster begins, as [2000, 20000]; [] is one softmax "
             "over all.")
          .only(kGenerate),
      option("model.unit_dropout", MNEMO_MEMBER(model.unit_dropout), Range{0, 0.95},
             "Share of the vocabulary whose vectors are zero in training, chosen anew for each batch (Merity "
             "et al. 2017).")
          .only(kGenerate),
      option("model.activation_penalty", MNEMO_MEMBER(model.activation_penalty), Range{0, 1e6},
             "Weight of the mean square of the last outputs after dropout in the loss (Merity et al. 2017).")
          .only(kGenerate),
      option("model.slowness_penalty", MNEMO_MEMBER(model.slowness_penalty), Range{0, 1e6},
             "Weight of the mean square of their change from step to step.")
          .only(kGenerate),
      option("model.condition_dropout", MNEMO_MEMBER(model.condition_dropout), Range{0, 1},
             "Share of poems in training that are not told their form, their author, their title, each by "
             "itself, so that text can be made without.")
          .only(kGenerate),
      option("model.initializer", MNEMO_MEMBER(model.initializer), Choices{"orthogonal", "glorot", "uniform"},
             "First weights. orthogonal: Glorot & Bengio 2010, recurrent ones orthogonal (Saxe et al. 2014). glorot: "
             "all so. uniform: +-1/sqrt(hidden) with biases, as PyTorch."),
      option("model.forget_bias", MNEMO_MEMBER(model.forget_bias), Range{-10, 10},
             "Added to the first value of the forget gate's bias; taken from the input gate's of cifg_lstm and "
             "min_gru. gru and "
             "rnn have none."),
      option("model.embedding_deviation", MNEMO_MEMBER(model.embedding_deviation), Range{0, 10},
             "Standard deviation of the embeddings' first values."),
  };
}

// Long because it is a table: an option a row.
std::vector<Option> training_options() {
  const Anything any;
  const Place local = Place::kLocal;
  return {
      option("training.optimizer", MNEMO_MEMBER(training.optimizer), Choices{"sgd", "adam", "adamw", "rmsprop"},
             "The optimiser."),
      option("training.learning_rate", MNEMO_MEMBER(training.learning_rate), Range{0, 1000}, "Highest learning rate."),
      option("training.momentum", MNEMO_MEMBER(training.momentum), Range{0, 0.9999}, "Momentum of sgd and rmsprop."),
      option("training.nesterov", MNEMO_MEMBER(training.nesterov), any, "Nesterov's form of sgd's momentum."),
      option("training.beta1", MNEMO_MEMBER(training.beta1), Range{0, 0.9999}, "Decay of adam's first moment."),
      option("training.beta2", MNEMO_MEMBER(training.beta2), Range{0, 0.999999}, "Decay of adam's second moment."),
      option("training.epsilon", MNEMO_MEMBER(training.epsilon), Range{1e-12, 1},
             "Added to the root in adam and rmsprop."),
      option("training.alpha", MNEMO_MEMBER(training.alpha), Range{0, 0.999999}, "Decay of rmsprop's mean square."),
      option("training.weight_decay", MNEMO_MEMBER(training.weight_decay), Range{0, 10},
             "Decoupled weight decay (Loshchilov & Hutter 2019) of sgd, adamw and rmsprop."),
      option("training.schedule", MNEMO_MEMBER(training.schedule),
             Choices{"constant", "linear", "cosine", "inverse_sqrt", "plateau"},
             "How the learning rate goes after warm-up."),
      option("training.warmup", MNEMO_MEMBER(training.warmup), any,
             "Linear warm-up: \"500 steps\", or a number of epochs."),
      option("training.final_rate", MNEMO_MEMBER(training.final_rate), Range{0, 1},
             "Last rate of linear and cosine, as a share of learning_rate."),
      option("training.plateau_factor", MNEMO_MEMBER(training.plateau_factor), Range{0.01, 1},
             "plateau: factor of the rate where the metric no longer improves."),
      option("training.plateau_patience", MNEMO_MEMBER(training.plateau_patience), Range{1, 1e6},
             "plateau: evaluations without a better metric before that."),
      option("training.batch_size", MNEMO_MEMBER(training.batch_size), Range{1, 1e6},
             "Texts of a batch; of records for generate, so many units as that number of texts has on average."),
      option("training.batch_tokens", MNEMO_MEMBER(training.batch_tokens), Range{0, kMany},
             "Units of a batch, in place of batch_size; 0: by batch_size."),
      option("training.bptt", MNEMO_MEMBER(training.bptt), Range{1, 1e6},
             "Steps of a batch, through which gradients go back; the state goes on. batch_size such rows of "
             "the corpus are read side by side.")
          .only(kGenerate),
      option("training.epochs", MNEMO_MEMBER(training.epochs), Range{1, 1e6}, "Passes over train at the most."),
      option("training.max_minutes", MNEMO_MEMBER(training.max_minutes), Range{0, 1e6},
             "Minutes of training at the most; 0: no limit. A run cut by time has no bits to repeat."),
      option("training.clip_norm", MNEMO_MEMBER(training.clip_norm), Range{0, kMany},
             "Longest gradient, over all parameters; longer ones are scaled down. 0: not clipped."),
      option("training.average_from", MNEMO_MEMBER(training.average_from), Range{0, 1e6},
             "Epoch from which on the model is the mean of the weights at all evaluations since (Izmailov et al. "
             "2018); 0: it is the weights themselves."),
      option("training.average_after", MNEMO_MEMBER(training.average_after), Range{0, 1e6},
             "From where dev was worse than at all but the last so many evaluations on, the model is the mean of the "
             "weights at all steps since (NT-ASGD, Merity et al. 2017); 0: it is not. Not with average_from."),
      option("training.class_weight", MNEMO_MEMBER(training.class_weight), any,
             "Weights of the classes in the loss: none, balanced, or an object of label: weight.")
          .only(kClassify),
      option("training.label_smoothing", MNEMO_MEMBER(training.label_smoothing), Range{0, 0.9},
             "Share of the target spread over all classes (Szegedy et al. 2016).")
          .only(kClassify | kTag),
      option("training.early_stopping.metric", MNEMO_MEMBER(training.early_stopping.metric),
             Choices{"auto", "accuracy", "micro_f1", "macro_f1", "weighted_f1", "log_loss", "auc", "loss", "f1",
                     "token_accuracy", "nats"},
             "Metric on dev by which the best model is kept, and training stops. auto: accuracy; of tag f1 where tags "
             "spell spans, else token_accuracy; of generate nats a unit."),
      option("training.early_stopping.patience", MNEMO_MEMBER(training.early_stopping.patience), Range{0, 1e6},
             "Evaluations without a better metric before training stops; 0: it runs to the end."),
      option("training.evaluate_every", MNEMO_MEMBER(training.evaluate_every), any,
             "How often dev is evaluated: a number of epochs, or \"500 steps\", \"10 minutes\"."),
      option("training.save_every", MNEMO_MEMBER(training.save_every), any,
             "How often the run is saved for --resume: as evaluate_every."),
      option(
          "training.precision", MNEMO_MEMBER(training.precision), Choices{"float32", "bfloat16"},
          "Of the recurrent layers' products: bfloat16 rounds their factors and keeps float32 sums and weights, at up "
          "to twice the speed on processors that have it (vdpbf16ps), about four times on those with tiles (AMX); on "
          "others it is refused. What a run gives belongs to the kind of processor."),
      option("training.seed", MNEMO_MEMBER(training.seed), Range{0, 9e15},
             "Seed of first weights, order and dropout. The same seed gives the same bytes for any number of threads."),
      option("training.threads", MNEMO_MEMBER(training.threads), Range{0, 1024},
             "Threads; 0: the cores that the process may use. --threads overrides it.", local),
  };
}

std::vector<Option> output_options() {
  const Anything any;
  const Place local = Place::kLocal;
  return {
      option("output.dir", MNEMO_MEMBER(output.dir), any,
             "Folder of the run: model.safetensors (best on dev), resume.safetensors, log.jsonl, report.html. Starts "
             "at the working directory.",
             local),
  };
}

std::vector<Option> declare_options() {
  std::vector<Option> all;
  all.push_back(
      option("task", MNEMO_MEMBER(task), Choices(kTaskNames.begin(), kTaskNames.end()),
             "What the model does: classify gives a text one label or several; tag gives each token of a sentence one, "
             "or several columns one each; generate is a language model, which goes on with a text (by default with "
             "data.format lines, text.unit char, model.bidirectional false, model.initializer uniform and "
             "model.forget_bias 0)."));
  for (const auto& section : {data_options, text_options, model_options, training_options, output_options})
    for (Option& option : section()) all.push_back(std::move(option));
  return all;
}

// Contradictions that no single option shows.
void check_whole(const Config& c, std::vector<std::string>& errors) {
  if (c.output.dir.empty()) errors.emplace_back("output.dir: expected a folder, found an empty text");
  if (c.data.separator.size() > 1 && c.data.separator != "\\t")
    errors.push_back(
        fmt::format("data.separator: expected one ASCII character, found \"{}\"", shown(c.data.separator)));
  const auto& n = c.text.ngrams;
  if ((n.char_min == 0) != (n.char_max == 0) || n.char_min > n.char_max)
    errors.push_back(
        fmt::format("text.ngrams: char_min {} and char_max {}: expected both 0, or 1 <= char_min <= char_max",
                    n.char_min, n.char_max));
  if (c.training.optimizer == "adam" && c.training.weight_decay > 0)
    errors.push_back("training.weight_decay: adam has none; use \"optimizer\": \"adamw\"");
  if (c.training.momentum > 0 && c.training.optimizer != "sgd" && c.training.optimizer != "rmsprop")
    errors.push_back(
        fmt::format("training.momentum: {} has none; it belongs to sgd and rmsprop", c.training.optimizer));
  if (c.training.nesterov && c.training.momentum == 0)
    errors.push_back("training.nesterov: needs training.momentum above 0");
  if (c.training.average_after > 0 && c.training.average_from > 0)
    errors.push_back("training.average_after: not with training.average_from");
  if (c.training.warmup.unit == Every::Unit::kMinutes)
    errors.push_back("training.warmup: expected epochs or steps, found minutes");
  if (c.data.multi_label && c.training.early_stopping.metric == "auc")
    errors.push_back("training.early_stopping.metric: auc is for two classes, not for data.multi_label");
  if (c.data.multi_label && c.data.label_separator.empty())
    errors.push_back("data.label_separator: expected a text between labels, found none");
  if (c.training.weight_decay * c.training.learning_rate >= 1)
    errors.push_back(fmt::format(
        "training.weight_decay: times learning_rate it is {:.3g}, and must be below 1: it is the share of the weights "
        "that a step takes away",
        c.training.weight_decay * c.training.learning_rate));
}

// What tells the tasks apart: their formats, the first one being the default, and the metrics that choose a model.
struct TaskTraits {
  std::vector<std::string> formats, metrics;
};
const std::map<std::string, TaskTraits>& task_traits() {
  static const std::map<std::string, TaskTraits> traits{
      {"classify",
       {{"tsv", "csv", "jsonl", "fasttext", "spaced", "trees"},
        {"accuracy", "micro_f1", "macro_f1", "weighted_f1", "log_loss", "auc"}}},
      {"tag", {{"conll", "conllu", "slashed", "jsonl"}, {"f1", "token_accuracy"}}},
      {"generate", {{"lines", "poems-json"}, {"nats"}}}};
  return traits;
}

// Defaults that differ between tasks.
void apply_task_defaults(Config& c) {
  c.data.format = task_traits().at(c.task).formats.front();
  if (!kGenerate.has(c.task)) return;
  c.model.bidirectional = false;
  c.text.unit = "char";
  // A state that is carried on for ten thousands of steps drifts away in the first epoch where gates begin by
  // remembering and weights by keeping its length: 512 units, tinyshakespeare, dev 3.07 nats against 2.42 of these.
  c.model.initializer = "uniform";
  c.model.forget_bias = 0.0;
}

void check_language_model(const Config& c, std::vector<std::string>& errors) {
  if (c.model.bidirectional)
    errors.emplace_back("model.bidirectional: a language model reads forward alone; set it to false");
  const std::int64_t outputs = c.model.projection > 0 ? c.model.projection : c.model.hidden;
  if (c.model.tied && !c.model.cutoffs.empty())
    errors.emplace_back("model.cutoffs: an adaptive softmax has weights of its own; set model.tied to false");
  if (c.model.tied && c.model.embedding != outputs)
    errors.push_back(fmt::format("model.tied: needs model.embedding {} to be as many as the last layer's outputs, {}",
                                 c.model.embedding, outputs));
  if (!c.data.tells() && c.model.condition_dropout != ModelConfig().condition_dropout)
    errors.emplace_back("model.condition_dropout: only where poems are told their form, author and title (poems-json)");
  if (!c.data.has_records() && c.training.batch_tokens > 0)
    errors.emplace_back("training.batch_tokens: one stream is cut by training.bptt; it needs data.records");
  if (!c.data.has_records() && c.model.learned_initial)
    errors.emplace_back("model.learned_initial: one stream begins once; it needs data.records");
  if (c.text.unit == "unicode-word")
    errors.emplace_back(
        "text.unit: unicode-word loses the blanks between units; generate takes char, grapheme or word");
}

// What belongs to one task alone.
void check_task(const Config& c, std::vector<std::string>& errors) {
  const TaskTraits& traits = task_traits().at(c.task);
  const auto in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::pair<std::string, std::string>> formats{{"data.format", c.data.format}};
  for (const auto* files : {&c.data.train, &c.data.dev, &c.data.test})
    for (const DataFile& file : *files)
      if (file.format) formats.emplace_back("format of " + file.file, *file.format);
  for (const auto& [where, format] : formats)
    if (!in(traits.formats, format))
      errors.push_back(fmt::format("{}: {} is not for the task {}; expected {}", where, format, c.task,
                                   fmt::join(traits.formats, ", ")));
  const std::string& metric = c.training.early_stopping.metric;
  if (metric != "auto" && metric != "loss" && !in(traits.metrics, metric))
    errors.push_back(fmt::format("training.early_stopping.metric: {} is not for the task {}", metric, c.task));
  if (c.training.label_smoothing > 0 && kTag.has(c.task) && c.model.crf)
    errors.emplace_back("training.label_smoothing: not with model.crf");
  for (std::size_t i = 0; i < c.data.columns.size(); ++i)
    if (std::find(c.data.columns.begin(), c.data.columns.begin() + static_cast<std::ptrdiff_t>(i), c.data.columns[i]) !=
        c.data.columns.begin() + static_cast<std::ptrdiff_t>(i))
      errors.push_back(fmt::format("data.columns: {} stands there twice", c.data.columns[i]));
  if (kGenerate.has(c.task)) check_language_model(c, errors);
}

const Option* find_option(const std::string& key) {
  const auto& all = options();
  const auto match = std::find_if(all.begin(), all.end(), [&](const Option& o) { return o.key == key; });
  return match == all.end() ? nullptr : &*match;
}

bool is_section(const std::string& key) {
  const auto& all = options();
  return std::any_of(all.begin(), all.end(), [&](const Option& o) { return o.key.starts_with(key + "."); });
}

std::string unknown_key(const std::string& key) {
  std::vector<std::string> keys;
  for (const Option& o : options()) {
    keys.push_back(o.key);
    for (std::size_t dot = o.key.find('.'); dot != std::string::npos; dot = o.key.find('.', dot + 1))
      keys.push_back(o.key.substr(0, dot));
  }
  return fmt::format("{}: unknown key; the nearest is {} (mnemo config explain lists all)", shown(key),
                     nearest(key, keys));
}

void set_option(Config& config, const Option& o, const Json& value, const std::string& where,
                std::vector<std::string>& errors) {
  if (!o.tasks.has(config.task)) {
    errors.push_back(
        fmt::format("{}{}: the task {} has no such key; {} has", where, o.key, config.task, o.tasks.names()));
    return;
  }
  try {
    o.read(config, value);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    errors.push_back(fmt::format("{}{}: {}", where, o.key, error.what()));
  }
}

void read_object(Config& config, const Json& object, const std::string& prefix, const std::string& where,
                 std::vector<std::string>& errors) {
  for (const auto& [name, value] : object.items()) {
    const std::string key = prefix + name;
    if (name.find('.') != std::string::npos) {
      errors.push_back(fmt::format("{}{}: a file has keys in sections: {{\"{}\": {{\"{}\": ...}}}}", where, shown(key),
                                   shown(key.substr(0, key.find('.'))), shown(key.substr(key.find('.') + 1))));
    } else if (const Option* o = find_option(key)) {
      set_option(config, *o, value, where, errors);
    } else if (!is_section(key)) {
      errors.push_back(where + unknown_key(key));
    } else if (!value.is_object()) {
      errors.push_back(fmt::format("{}{}: expected an object, found {}", where, key, found(value)));
    } else {
      read_object(config, value, key + ".", where, errors);
    }
  }
}

void apply_set(Config& config, const std::string& set, std::vector<std::string>& errors) {
  const std::size_t equals = set.find('=');
  const std::string key = set.substr(0, equals);
  if (equals == std::string::npos) {
    errors.push_back(fmt::format("--set {}: expected key=value", shown(set)));
    return;
  }
  const Option* o = find_option(key);
  if (!o) {
    errors.push_back("--set " + unknown_key(key));
    return;
  }
  const std::string text = set.substr(equals + 1);
  try {
    static_cast<void>(Json(text).dump());
  } catch (const nlohmann::json::exception&) {
    errors.push_back(fmt::format("--set {}: the value is no valid UTF-8", key));
    return;
  }
  const bool json_form = text.starts_with("[") || text.starts_with("{") || text.starts_with("\"");
  const auto parsed = [&] {
    try {
      return parse_json(text);
    } catch (const JsonError&) {
      return Json(text);
    }
  };
  Json value = o->raw_text && !json_form ? Json(text) : parsed();
  // "2" of an interval is a number of epochs, "true" of a column a name.
  if (o->raw_text && o->schema.contains("type") && o->schema["type"].is_array() && o->schema["type"][0] == "number") {
    const Json number = parsed();
    if (number.is_number()) value = number;
  }
  set_option(config, *o, value, "--set ", errors);
}

JsonDocument parse_strict(std::string_view text, const std::string& name) {
  try {
    JsonDocument out(parse_json(text));
    if (!out->is_object()) throw UsageError(fmt::format("{}: expected a JSON object, found {}", name, found(*out)));
    return out;
  } catch (const JsonError& error) {
    if (!error.offset()) throw UsageError(fmt::format("{}: {}", name, error.what()));
    const std::size_t end = std::min(*error.offset(), text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    throw UsageError(fmt::format("{}:{}: no valid JSON: {}", name, line, error.what()));
  }
}

std::string type_text(const Json& schema) {
  if (schema.contains("enum")) {
    std::vector<std::string> names;
    for (const Json& value : schema["enum"]) names.push_back(value.get<std::string>());
    return fmt::format("{}", fmt::join(names, " | "));
  }
  if (schema["type"].is_array()) {
    std::vector<std::string> names;
    for (const Json& value : schema["type"]) names.push_back(value.get<std::string>());
    return fmt::format("{}", fmt::join(names, " or "));
  }
  std::string text = schema["type"].get<std::string>();
  if (schema.contains("minimum"))
    text += fmt::format(" from {} to {}", schema["minimum"].get<double>(), schema["maximum"].get<double>());
  return text;
}

}  // namespace

const std::vector<Option>& options() {
  static const std::vector<Option> all = declare_options();
  return all;
}

Config parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets,
                    const ConfigCheck& check) {
  Config config;
  std::vector<std::string> errors;
  const JsonDocument document = parse_strict(text, name);
  const Json& json = *document;
  // The task first: it has defaults of its own.
  if (json.contains("task")) {
    std::vector<std::string> repeated;
    read_object(config, Json{{"task", json["task"]}}, "", "", repeated);
  }
  for (const std::string& set : sets)
    if (set.starts_with("task=")) {
      std::vector<std::string> repeated;
      apply_set(config, set, repeated);
    }
  apply_task_defaults(config);
  read_object(config, json, "", name + ": ", errors);
  for (const std::string& set : sets) apply_set(config, set, errors);
  const std::size_t before = errors.size();
  check_whole(config, errors);
  check_task(config, errors);
  if (check) check(config, errors);
  for (std::size_t i = before; i < errors.size(); ++i) errors[i] = name + ": " + errors[i];
  if (!errors.empty()) throw UsageError(abridged(errors, 50, "\n"));
  return config;
}

Json config_to_json(const Config& config, Which which) {
  Json out = Json::object();
  for (const Option& o : options()) {
    if ((o.local && which == Which::kWithoutLocal) || !o.tasks.has(config.task)) continue;
    std::string pointer = "/" + o.key;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    out[Json::json_pointer(pointer)] = o.write(config);
  }
  return out;
}

namespace {

// The schema that a configuration of the task keeps to, too: none of the keys that only others have.
Json keys_without(const std::string& task) {
  Json condition{{"properties", {{"task", {{"const", task}}}}}}, then = Json::object();
  if (task != Config().task) condition["required"] = {"task"};
  for (const Option& o : options()) {
    if (o.tasks.has(task)) continue;
    Json* node = &then;
    std::size_t begin = 0;
    for (std::size_t dot; (dot = o.key.find('.', begin)) != std::string::npos; begin = dot + 1)
      node = &(*node)["properties"][o.key.substr(begin, dot - begin)];
    (*node)["properties"][o.key.substr(begin)] = false;
  }
  return {{"if", std::move(condition)}, {"then", std::move(then)}};
}

}  // namespace

Json config_schema() {
  Json root{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "mnemo configuration"}};
  root["type"] = "object";
  root["additionalProperties"] = false;
  for (const Option& o : options()) {
    Json* node = &root;
    std::size_t begin = 0;
    for (std::size_t dot; (dot = o.key.find('.', begin)) != std::string::npos; begin = dot + 1) {
      node = &(*node)["properties"][o.key.substr(begin, dot - begin)];
      (*node)["type"] = "object";
      (*node)["additionalProperties"] = false;
    }
    (*node)["properties"][o.key.substr(begin)] = o.schema;
  }
  for (const char* task : kTaskNames) root["allOf"].push_back(keys_without(task));
  return root;
}

std::string explain(const std::string& key, bool markdown) {
  std::string out = markdown ? "| key | tasks | value | default | meaning |\n|---|---|---|---|---|\n" : "";
  bool any = false;
  for (const Option& o : options()) {
    if (!key.empty() && o.key != key && !o.key.starts_with(key + ".")) continue;
    any = true;
    std::string type = type_text(o.schema);
    const std::string value = o.schema["default"].dump();
    if (!markdown) {
      const std::string tasks = o.tasks == TaskSet::all() ? "" : "; of " + o.tasks.names() + " alone";
      out += fmt::format("{} ({}; default {}{})\n    {}\n", o.key, type, value, tasks, o.help);
      continue;
    }
    for (std::size_t at = 0; (at = type.find('|', at)) != std::string::npos; at += 2) type.insert(at, "\\");
    out += fmt::format("| `{}` | {} | {} | `{}` | {} |\n", o.key, o.tasks == TaskSet::all() ? "all" : o.tasks.names(),
                       type, value, o.help);
  }
  if (!any) throw UsageError(unknown_key(key));
  return out;
}

}  // namespace mnemo
