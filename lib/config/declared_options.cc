// Every option, declared once: its key, the member that it sets, its allowed values and its help text; then, if needed,
// the tasks that have it, defaults of single tasks that replace the member's initial value, and the data formats that
// it applies to. Parsing, checks, the schema and the reference are all derived from this table.
#include "config/option_values.h"
#include "config/options.h"

namespace mnemo {
namespace {

constexpr double kMany = 1e9;

enum class Place { kModel, kLocal };

// Values that only some tasks allow are kept, for checks and for the reference.
template <class Constraint>
TaskValues restricted(const Constraint&) {
  return {};
}
TaskValues restricted(const TaskValues& values) { return values; }

template <class T>
constexpr bool kIsText =
    std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>> || std::is_same_v<T, Every> ||
    std::is_same_v<T, ClassWeight> || std::is_same_v<T, std::vector<DataFile>>;

template <class Member, class Constraint>
Option option(std::string key, Member member, Constraint constraint, std::string help, Place place = Place::kModel) {
  using T = std::decay_t<decltype(member(std::declval<Config&>()))>;
  Config defaults;
  Option out;
  out.key = std::move(key);
  out.help = std::move(help);
  out.schema = schema_of(T{}, constraint);
  out.schema["default"] = write_value(member(defaults));
  out.values = restricted(constraint);
  out.local = place == Place::kLocal;
  out.raw_text = kIsText<T>;
  out.read = [member, constraint](Config& c, const Json& value) { member(c) = read_value(value, T{}, constraint); };
  out.write = [member](const Config& c) { return write_value(member(const_cast<Config&>(c))); };
  return out;
}

#define MNEMO_MEMBER(path) \
  [](Config & c) -> auto& { return c.path; }

std::vector<std::string> word_units() { return {"word", "unicode-word"}; }
std::vector<std::string> subword_unit() { return {"subword"}; }
std::vector<std::string> character_units() { return {"char", "grapheme"}; }

// The mean of the weights needs many steps, and contradicts the other kind of averaging.
Json quarter_of_epochs(const Config& c, std::int64_t size) {
  return size < 1000 || c.training.average_after > 0 ? 0 : std::max<std::int64_t>(1, c.training.epochs / 4);
}

Json three_fifths_of_epochs(const Config& c, std::int64_t) {
  return c.training.average_after > 0 ? 0 : 3 * c.training.epochs / 5;
}

// There is nothing to drop where gates do not see the output.
Json weight_dropout_by_size(const Config& c, std::int64_t size) {
  static constexpr std::array kWithoutRecurrentWeights{"min_lstm", "min_gru", "sru"};
  const bool none = std::ranges::count(kWithoutRecurrentWeights, c.model.cell) > 0;
  return size < 5'000'000 && !none ? 0.3 : 0.0;
}

std::vector<Option> task_options() {
  return {
      option("task", MNEMO_MEMBER(task), Choices(kTaskNames.begin(), kTaskNames.end()),
             "What the model does. classify: gives a text one or several labels. tag: gives each token of a "
             "sentence a tag, in one or several columns. generate: a language model, which continues a text. "
             "translate: turns a line into one of another language."),
  };
}

// Long because it is a table: one option per row.
std::vector<Option> data_options() {
  return {
      option("data.dir", MNEMO_MEMBER(data.dir), Anything{},
             "Folder that the paths of data and of text.pretrained are relative to; empty: that of the "
             "configuration file.",
             Place::kLocal),
      option(
          "data.train", MNEMO_MEMBER(data.train), Anything{},
          "Training data: a path, a list of paths, or objects {\"file\": path, \"format\": ...} whose keys override "
          "those of data for that file. For translate with the format parallel: {\"source\": path, \"target\": path}.",
          Place::kLocal),
      option("data.dev", MNEMO_MEMBER(data.dev), Anything{},
             "Data that every choice is made on: the best epoch, early stopping, the temperature. Empty: "
             "dev_fraction of train.",
             Place::kLocal),
      option("data.test", MNEMO_MEMBER(data.test), Anything{},
             "Data for the final evaluation of a run; nothing is chosen on it.", Place::kLocal),
      option("data.unlabelled", MNEMO_MEMBER(data.unlabelled), Anything{},
             "Text without labels, as data.train but with the format lines unless the file has its own: a language "
             "model of it and of the texts of train is trained first (training.language_model).",
             Place::kLocal)
          .only(kClassify),
      option("data.format", MNEMO_MEMBER(data.format), data_formats(),
             "tsv: label, tab, text. csv: quoted, with a header. jsonl: a JSON object per line; for tag, with spans "
             "of characters. fasttext: __label__X first. spaced: label, blank, text. trees: Penn brackets with "
             "labels. conll: a token and its tags per line. conllu: Universal Dependencies. slashed: word/tag, the "
             "tag after the last slash. lines: plain text. poems-json: an array of poems with title, author and "
             "paragraphs, as in the collection chinese-poetry. For translate, parallel: two files, line by line; tsv: "
             "source, tab, target; jsonl: objects with source and target. Gzip files are unpacked.")
          .otherwise(kTag, "conll")
          .otherwise(kGenerate, "lines")
          .otherwise(kTranslate, "parallel"),
      option("data.source", MNEMO_MEMBER(data.source), Column{},
             "Column (its number from 1) or JSON key of the source; empty: 1, or source.")
          .only(kTranslate)
          .of_formats({"tsv", "jsonl"}),
      option("data.target", MNEMO_MEMBER(data.target), Column{},
             "Column or JSON key of the target; empty: 2, or target.")
          .only(kTranslate)
          .of_formats({"tsv", "jsonl"}),
      option(
          "data.max_ratio", MNEMO_MEMBER(data.max_ratio), Range{0, kMany},
          "Pairs of train are left out if one side has more than this many times the units of the other, 1 or more, or "
          "has nothing but blanks; 0: none is.")
          .only(kTranslate),
      option("data.max_length", MNEMO_MEMBER(data.max_length), Range{0, kMany},
             "Pairs of train are left out if a side has more units than this; 0: none is. Nothing is ever cut.")
          .only(kTranslate),
      option("data.bleu", MNEMO_MEMBER(data.bleu), Choices(kBleuNames.begin(), kBleuNames.end()),
             "How BLEU cuts translations and references into words: sacrebleu's tokenizers. auto: zh for text without "
             "blanks between words, none if text.unit of the target is word, else 13a.")
          .only(kTranslate),
      option("data.label", MNEMO_MEMBER(data.label), Column{},
             "Column (its number from 1, or its name in the header) or JSON key of the label, for tag of the spans; "
             "empty: the format's default.")
          .only(kClassify | kTag)
          .of_formats({"tsv", "csv", "jsonl", "conll", "conllu"}),
      option("data.text", MNEMO_MEMBER(data.text), Column{},
             "Column or JSON key of the text or, for tag, of the token; empty: the format's default.")
          .only(kClassify | kTag)
          .of_formats({"tsv", "csv", "jsonl", "conll", "conllu"}),
      option("data.columns", MNEMO_MEMBER(data.columns), Column{},
             "Columns to predict: numbers from 1, or conllu's names such as upos; empty: the last one, or upos. "
             "words: the words themselves, segmented from their characters; tagged-words: the words with their "
             "tags.")
          .only(kTag),
      option("data.scheme", MNEMO_MEMBER(data.scheme),
             Choices{"auto", "none", "iob1", "bio", "ioe2", "bioes", "bmes", "bilou"},
             "How tags spell spans; none: tags stand for themselves; auto: guessed from the tags of train.")
          .only(kTag),
      option("data.records", MNEMO_MEMBER(data.records), Anything{},
             "Each line is a text of its own, with a beginning and an end, instead of one stream over all lines; "
             "poems-json always has records.")
          .only(kGenerate),
      option("data.strip_position", MNEMO_MEMBER(data.strip_position), Anything{},
             "Drop one digit at the end of tokens of two or more characters.")
          .only(kTag)
          .of_formats({"conll"}),
      option("data.header", MNEMO_MEMBER(data.header), Anything{},
             "Whether the first row names the columns; null: yes for csv, and for tsv if a column is given by name.")
          .only(kClassify)
          .of_formats({"tsv", "csv"}),
      option("data.separator", MNEMO_MEMBER(data.separator), Anything{},
             "Character between columns; empty: a tab for tsv, a comma for csv, any run of blanks and tabs for "
             "conll.")
          .only(kClassify | kTag)
          .of_formats({"tsv", "csv", "conll"}),
      option("data.multi_label", MNEMO_MEMBER(data.multi_label), Anything{},
             "Whether a text may have several labels, or none.")
          .only(kClassify)
          .of_formats({"tsv", "csv", "jsonl", "fasttext", "spaced"}),
      option("data.label_separator", MNEMO_MEMBER(data.label_separator), Anything{},
             "String between the labels of one column.")
          .only(kClassify)
          .of_formats({"tsv", "csv", "spaced"}),
      option("data.phrases", MNEMO_MEMBER(data.phrases), Anything{},
             "Read each distinct non-neutral phrase, lower-cased, with labels 0 and 1 as 0, 3 and 4 as 1; false: "
             "the whole sentence with its label.")
          .only(kClassify)
          .of_formats({"trees"}),
      option("data.dev_fraction", MNEMO_MEMBER(data.dev_fraction), Range{0, 0.9},
             "Fraction of train held out as dev if data.dev is empty: equal texts stay on one side; of a stream, "
             "the last part."),
      option("data.dev_seed", MNEMO_MEMBER(data.dev_seed), Range{0, kMany},
             "Seed of that split, independent of training.seed."),
  };
}

// Long because it is a table: one option per row.
std::vector<Option> text_options() {
  return {
      option("text.unit", MNEMO_MEMBER(text.unit),
             TaskValues{{"char"}, {"grapheme"}, {"word"}, {"unicode-word", kClassify | kTag | kGenerate}, {"subword"}},
             "char: code points. grapheme: grapheme clusters, the characters that a reader sees. word: between "
             "blanks. unicode-word: by Unicode's word boundaries (UAX #29), which loses the blanks between units; "
             "generate writes one between any two. subword: parts of words by byte pair encoding, learnt from train; "
             "for tag, whose units are the tokens of the data, a token's embedding is the mean of its parts'.")
          .otherwise(kGenerate, "char")
          .otherwise(kTranslate, "subword"),
      option("text.target_unit", MNEMO_MEMBER(text.target_unit), Choices{"", "char", "grapheme", "word", "subword"},
             "The same for the target; empty: that of text.unit.")
          .only(kTranslate),
      option("text.joint", MNEMO_MEMBER(text.joint), Anything{},
             "One vocabulary, with one table of vectors, for source and target; their units must be of one kind.")
          .only(kTranslate),
      option("text.normalize", MNEMO_MEMBER(text.normalize), Choices{"nfc", "nfkc", "none"},
             "Unicode normalisation; nfc leaves full-width Chinese punctuation alone."),
      option("text.reverse", MNEMO_MEMBER(text.reverse), Anything{},
             "Read the units of each text from its end to its beginning. generate: a backward language model, which "
             "predicts each unit from those after it and writes what precedes a prompt; of one stream over all lines, "
             "the lines are read from the last to the first, too.")
          .only(kClassify | kGenerate)
          .left_out_by_default(),
      option("text.lowercase", MNEMO_MEMBER(text.lowercase), Anything{}, "Look up units in lower case."),
      option("text.digits", MNEMO_MEMBER(text.digits), Choices{"keep", "zero"},
             "zero: look up units with every digit as 0."),
      option("text.min_count", MNEMO_MEMBER(text.min_count), Range{1, kMany},
             "Units that occur less often in train are unknown."),
      option("text.merges", MNEMO_MEMBER(text.merges), Range{0, 1e6},
             "With text.unit subword: how many pairs of pieces are merged. text.min_count and text.max_vocab then cut "
             "rare subwords into smaller ones (Sennrich & Zhang 2019)."),
      option("text.merge_dropout", MNEMO_MEMBER(text.merge_dropout), Range{0, 1},
             "With text.unit subword: probability in training that a merge is left out, so that words are cut in "
             "different ways (BPE-dropout, Provilkov et al. 2020).")
          .only(kClassify | kTag | kTranslate),
      option(
          "text.max_vocab", MNEMO_MEMBER(text.max_vocab), Range{0, kMany},
          "Maximum vocabulary size: the most frequent units are kept; 0: all. A run that starts from a language model "
          "adds that one's further units, and has its subwords."),
      option("text.ngrams.char_min", MNEMO_MEMBER(text.ngrams.char_min), Range{0, 20},
             "Shortest hashed character n-gram of a unit; the mean of its n-grams is added to its embedding "
             "(Bojanowski et al. 2017); 0: none.")
          .only(kClassify | kTag)
          .otherwise(kClassify | kTag, 2, word_units())
          .otherwise(kTag, 2, subword_unit()),
      option("text.ngrams.char_max", MNEMO_MEMBER(text.ngrams.char_max), Range{0, 20},
             "Longest hashed character n-gram of a unit; 0: none.")
          .only(kClassify | kTag)
          .otherwise(kClassify, 6, word_units())
          .otherwise(kTag, 5, word_units())
          .otherwise(kTag, 5, subword_unit()),
      option("text.ngrams.unit", MNEMO_MEMBER(text.ngrams.unit), Range{1, 5},
             "Longest hashed n-gram of units, added to the unit's embedding; 1: none, 2: bigrams, 3: trigrams too.")
          .only(kClassify | kTag)
          .otherwise(kClassify | kTag, 2, character_units())
          .after_language_model(kClassify, 1, character_units()),
      option("text.ngrams.buckets", MNEMO_MEMBER(text.ngrams.buckets), Range{1, 1e8},
             "Rows of the table that n-grams are hashed into.")
          .only(kClassify | kTag)
          .by_size(kClassify | kTag, {{1000, 5000}, {10000, 20000}, {100000, 50000}, {0, 100000}})
          .otherwise(kClassify | kTag, 100000, character_units()),
      option("text.pretrained", MNEMO_MEMBER(text.pretrained), Anything{},
             "File of word vectors in the text format of GloVe or word2vec, also gzipped; empty: none.", Place::kLocal)
          .only(kClassify | kTag),
      option("text.pretrained_vocabulary", MNEMO_MEMBER(text.pretrained_vocabulary), Choices{"train", "all"},
             "all: also keep, frozen, the vectors of words that train lacks, so that the model needs no other file.")
          .only(kClassify | kTag),
      option("text.pretrained_limit", MNEMO_MEMBER(text.pretrained_limit), Range{0, kMany},
             "Maximum number of such words, taken in the file's order; 0: no limit.")
          .only(kClassify | kTag),
      option("text.pretrained_tune", MNEMO_MEMBER(text.pretrained_tune), Anything{},
             "Whether the vectors that the file has for words of train are trained; other words and n-grams always "
             "are.")
          .only(kClassify | kTag),
      option("text.pretrained_rate", MNEMO_MEMBER(text.pretrained_rate), Range{0, 1},
             "With text.pretrained: factor applied to training.learning_rate for the embedding table.")
          .only(kClassify | kTag),
  };
}

// Long because it is a table: one option per row.
std::vector<Option> model_options() {
  return {
      option("model.cell", MNEMO_MEMBER(model.cell),
             Choices{"lstm", "gru", "rnn", "peephole_lstm", "cifg_lstm", "capped_lstm", "min_lstm", "min_gru", "sru"},
             "The recurrent cell. gru: Cho et al. 2014; peephole_lstm: Gers & Schmidhuber 2000; cifg_lstm: coupled "
             "input and forget gates, Greff et al. 2015; capped_lstm: the input gate is at most 1 minus the forget "
             "gate, Melis et al. 2018; min_lstm, min_gru: gates that do not depend on the state, Feng et al. 2024; "
             "sru: gates that see the input and their own unit's state, and a highway past the cell, Lei et al. "
             "2018."),
      option("model.reset_after", MNEMO_MEMBER(model.reset_after), Anything{},
             "gru: apply the reset gate after the recurrent product, as in PyTorch and cuDNN; false: before it, as "
             "in the paper."),
      option("model.activation", MNEMO_MEMBER(model.activation), Choices{"tanh", "relu"},
             "rnn: the activation function."),
      option("model.layer_norm", MNEMO_MEMBER(model.layer_norm), Anything{},
             "lstm: layer normalisation of the gates' pre-activations and of the cell state (Ba et al. 2016)."),
      option("model.projection", MNEMO_MEMBER(model.projection), Range{0, 16384},
             "lstm: output size of one direction, smaller than hidden (Sak et al. 2014); 0: no projection."),
      option("model.bidirectional", MNEMO_MEMBER(model.bidirectional),
             TaskValues{{true, kClassify | kTag | kTranslate}, {false}},
             "Read the text in both directions; a language model reads it forward only. For translate, the encoder.")
          .otherwise(kGenerate, false)
          .after_language_model(kClassify, false),
      option("model.layers", MNEMO_MEMBER(model.layers), Range{1, 32},
             "Number of recurrent layers; for translate, of the encoder.")
          .by_size(kGenerate, {{1000000, 1}, {0, 2}}),
      option("model.hidden", MNEMO_MEMBER(model.hidden), Range{1, 16384},
             "Hidden size of one direction; for translate, of the encoder. With --init-from that of the model.")
          .otherwise(kTag, 200)
          .otherwise(kTranslate, 256)
          .by_size(kGenerate, {{50000, 128}, {500000, 256}, {0, 512}})
          .after_language_model(kClassify, 256),
      option("model.embedding", MNEMO_MEMBER(model.embedding), Range{1, 16384},
             "Embedding size; with text.pretrained that of the file, with --init-from that of the model.")
          .otherwise(kGenerate, 128)
          .otherwise(kTranslate, 256)
          .after_language_model(kClassify, 256),
      option("model.pooling", MNEMO_MEMBER(model.pooling), Choices{"last", "mean", "max", "attention"},
             "How the outputs of all steps become one vector; last: the last output of the forward direction and "
             "the first of the backward direction. Several, such as [\"last\", \"max\", \"mean\"], stand side by side.")
          .only(kClassify)
          .after_language_model(kClassify, Json{"last", "max", "mean"}),
      option("model.convolution.widths", MNEMO_MEMBER(model.convolution.widths), Range{1, 31},
             "Convolutions over so many neighbouring units each, such as [3, 4, 5] (Kim 2014); []: none.")
          .only(kClassify | kTag),
      option("model.convolution.filters", MNEMO_MEMBER(model.convolution.filters), Range{1, 4096},
             "Filters of each width.")
          .only(kClassify | kTag),
      option("model.convolution.place", MNEMO_MEMBER(model.convolution.place), Choices{"beside", "before"},
             "beside: the output layer reads the convolutions beside the recurrent layers, a classifier their maxima "
             "over time; before: the recurrent layers read them beside the embeddings.")
          .only(kClassify | kTag),
      option("model.dropout", MNEMO_MEMBER(model.dropout), Range{0, 0.95}, "Dropout before the output layer.")
          .by_size(kGenerate, {{5000000, 0.5}, {0, 0.2}})
          .otherwise(kTranslate, 0.4),
      option("model.embedding_dropout", MNEMO_MEMBER(model.embedding_dropout), Range{0, 0.95},
             "Dropout on the embeddings.")
          .otherwise(kGenerate, 0.1)
          .otherwise(kTranslate, 0.3),
      option("model.layer_dropout", MNEMO_MEMBER(model.layer_dropout), Range{0, 0.95},
             "Dropout between recurrent layers.")
          .by_size(kGenerate, {{5000000, 0.5}, {0, 0.2}})
          .otherwise(kTranslate, 0.3),
      option("model.variational", MNEMO_MEMBER(model.variational), Anything{},
             "One dropout mask for all steps of a text (Gal & Ghahramani 2016), in embedding and layer dropout.")
          .otherwise(kTag | kGenerate, true),
      option("model.state_dropout", MNEMO_MEMBER(model.state_dropout), Range{0, 0.95},
             "Dropout on the hidden state before the recurrent product, one mask per text (Gal & Ghahramani 2016)."),
      option("model.weight_dropout", MNEMO_MEMBER(model.weight_dropout), Range{0, 0.95},
             "Dropout on the elements of the recurrent weights, one mask per batch (DropConnect, Merity et al. "
             "2017).")
          .by_size(kGenerate, "0.3 below 5000000, else 0; 0 for cells without recurrent weights",
                   weight_dropout_by_size),
      option("model.zoneout_h", MNEMO_MEMBER(model.zoneout_h), Range{0, 0.95},
             "Probability in training that a hidden unit keeps its previous value (Krueger et al. 2016); in "
             "inference the previous value is mixed in with this weight. Not with a projection."),
      option("model.zoneout_c", MNEMO_MEMBER(model.zoneout_c), Range{0, 0.95}, "The same for the cell state."),
      option("model.mogrifier.rounds", MNEMO_MEMBER(model.mogrifier.rounds), Range{0, 16},
             "lstm and its variants: rounds in which the input and the previous output gate each other before each "
             "step (Melis et al. 2020); 0: none."),
      option("model.mogrifier.rank", MNEMO_MEMBER(model.mogrifier.rank), Range{1, 4096},
             "Rank of the matrices of the mogrifier's gates."),
      option("model.self_attention.layer", MNEMO_MEMBER(model.self_attention.layer), Range{0, 32},
             "Number of the recurrent layer that a block of self-attention follows, 1 being the first: with a single "
             "head and gates, as in the SHA-RNN (Merity 2019); 0: none. For generate a step sees those before it, for "
             "classify and tag the whole text, at a cost that grows with the square of its length.")
          .only(kClassify | kTag | kGenerate),
      option("model.self_attention.memory", MNEMO_MEMBER(model.self_attention.memory), Range{1, 65536},
             "Steps before a step that the block sees, those of earlier batches among them.")
          .only(kGenerate),
      option("model.self_attention.feed_forward", MNEMO_MEMBER(model.self_attention.feed_forward), Range{0, 65536},
             "Width of the block's feed-forward part; 0: the block has none.")
          .only(kClassify | kTag | kGenerate),
      option("model.self_attention.dropout", MNEMO_MEMBER(model.self_attention.dropout), Range{0, 0.95},
             "Dropout on what attention and the feed-forward part each add.")
          .only(kClassify | kTag | kGenerate),
      option("model.residual", MNEMO_MEMBER(model.residual), Choices{"none", "add", "highway"},
             "Connection from input to output of each layer but the first. add: the input is added (He et al. "
             "2016); highway: a learned mixture of input and output (Srivastava et al. 2015)."),
      option(
          "model.sum_layers", MNEMO_MEMBER(model.sum_layers), Anything{},
          "The output layer reads the sum of the outputs of all recurrent layers instead of the last one's (Melis et "
          "al. 2020).")
          .only(kGenerate),
      option("model.learned_initial", MNEMO_MEMBER(model.learned_initial), Anything{},
             "Learn the initial state of texts instead of starting from zero."),
      option("model.word_dropout", MNEMO_MEMBER(model.word_dropout), Range{0, 0.95},
             "Fraction of units whose own embedding is replaced by the unknown unit's in training; their n-grams "
             "stay.")
          .only(kClassify | kTag)
          .otherwise(kClassify, 0.2)
          .otherwise(kClassify, 0.1, character_units()),
      option("model.decoder_layers", MNEMO_MEMBER(model.decoder_layers), Range{1, 32},
             "Recurrent layers of the decoder. Attention asks with the output of the first one, and the others read "
             "what it finds.")
          .only(kTranslate),
      option("model.decoder_hidden", MNEMO_MEMBER(model.decoder_hidden), Range{0, 16384},
             "Hidden size of the decoder; 0: that of the encoder's one direction or, with model.attention dot, that of "
             "the encoder's output.")
          .only(kTranslate),
      option("model.attention", MNEMO_MEMBER(model.attention), Choices{"general", "dot", "additive"},
             "Score of the decoder's output for each output of the encoder. general, dot: Luong et al. 2015; additive: "
             "Bahdanau et al. 2015.")
          .only(kTranslate),
      option("model.heads", MNEMO_MEMBER(model.heads), Range{1, 256},
             "Heads of the attention: parts of the vectors with scores of their own (Vaswani et al. 2017).")
          .only(kTranslate),
      option("model.input_feeding", MNEMO_MEMBER(model.input_feeding), Anything{},
             "The decoder also reads the attentional vector of the step before (Luong et al. 2015), so training goes "
             "step by step, more slowly.")
          .only(kTranslate),
      option(
          "model.bridge", MNEMO_MEMBER(model.bridge), Choices{"last", "mean"},
          "What the decoder's initial state is computed from: the encoder's last states, or the mean of its outputs.")
          .only(kTranslate),
      option("model.char_encoder.kind", MNEMO_MEMBER(model.char_encoder.kind), Choices{"none", "cnn", "bilstm"},
             "Encoder of each word's characters. cnn: a convolution of width three, max-pooled over time (Ma & Hovy "
             "2016); bilstm: the last states of both directions (Lample et al. 2016).")
          .only(kTag)
          .otherwise(kTag, "none", character_units()),
      option("model.char_encoder.embedding", MNEMO_MEMBER(model.char_encoder.embedding), Range{1, 4096},
             "Embedding size of characters.")
          .only(kTag),
      option("model.char_encoder.hidden", MNEMO_MEMBER(model.char_encoder.hidden), Range{1, 4096},
             "Filters of cnn, or hidden size of one direction of bilstm.")
          .only(kTag),
      option("model.char_encoder.dropout", MNEMO_MEMBER(model.char_encoder.dropout), Range{0, 0.95},
             "Dropout on the character embeddings.")
          .only(kTag),
      option("model.shape_embedding", MNEMO_MEMBER(model.shape_embedding), Range{0, 4096},
             "Embedding size of a word's shape: how it is capitalised and whether it has digits; 0: none.")
          .only(kTag)
          .otherwise(kTag, 10, word_units())
          .otherwise(kTag, 10, subword_unit()),
      option("model.singleton_dropout", MNEMO_MEMBER(model.singleton_dropout), Range{0, 1},
             "Probability in training that a word, or subword, that occurs once in train is read as unknown.")
          .only(kTag)
          .otherwise(kTag, 0.0, subword_unit()),
      option("model.crf", MNEMO_MEMBER(model.crf), Anything{},
             "A linear-chain CRF over a sentence's tags; false: each token is classified independently. Transitions "
             "that the scheme forbids are never predicted.")
          .only(kTag),
      option("model.scheme", MNEMO_MEMBER(model.scheme), Choices{"bio", "bioes"},
             "How the model spells spans internally; data are read and written in their own scheme.")
          .only(kTag),
      option("model.language_loss", MNEMO_MEMBER(model.language_loss), Range{0, 100},
             "Weight of an auxiliary loss in training: the first recurrent layer predicts the next word, backward the "
             "previous one, among the 7,500 most frequent words (Rei 2017, with 0.1); 0: none. The loss shown of train "
             "has it added, that of dev does not; the model that tags does not grow by it.")
          .only(kTag)
          .left_out_by_default(),
      option("model.tied", MNEMO_MEMBER(model.tied), Anything{},
             "The output weights are the embedding table (Press & Wolf 2017); model.embedding must then equal the "
             "output size of the last layer. For translate, the target's table.")
          .only(kGenerate | kTranslate)
          .otherwise(kTranslate, true),
      option("model.cutoffs", MNEMO_MEMBER(model.cutoffs), Range{1, 1e9},
             "Adaptive softmax for large vocabularies (Grave et al. 2017): how many of the most frequent units "
             "share the first softmax, and where each further cluster begins, such as [2000, 20000]; []: one "
             "softmax over all.")
          .only(kGenerate),
      option("model.unit_dropout", MNEMO_MEMBER(model.unit_dropout), Range{0, 0.95},
             "Fraction of the vocabulary whose embeddings are zero in training, drawn anew for each batch (Merity "
             "et al. 2017).")
          .only(kGenerate),
      option("model.activation_penalty", MNEMO_MEMBER(model.activation_penalty), Range{0, 1e6},
             "Weight in the loss of the mean square of the last layer's outputs after dropout (Merity et al. 2017).")
          .only(kGenerate),
      option("model.slowness_penalty", MNEMO_MEMBER(model.slowness_penalty), Range{0, 1e6},
             "Weight in the loss of the mean square of the change of these outputs, before dropout, from step to "
             "step.")
          .only(kGenerate),
      option("model.condition_dropout", MNEMO_MEMBER(model.condition_dropout), Range{0, 1},
             "Probability in training that a poem is not conditioned on its form, its author, its title, each "
             "independently, so that text can be generated without them.")
          .only(kGenerate),
      option("model.context_dropout", MNEMO_MEMBER(model.context_dropout), Range{0, 0.95},
             "Dropout on what attention finds.")
          .only(kTranslate),
      option("model.source_dropout", MNEMO_MEMBER(model.source_dropout), Range{0, 0.95},
             "Fraction of the source's units that is read as zero in training (Sennrich et al. 2016).")
          .only(kTranslate),
      option("model.target_dropout", MNEMO_MEMBER(model.target_dropout), Range{0, 0.95},
             "The same for the target's units that the decoder reads.")
          .only(kTranslate),
      option("model.initializer", MNEMO_MEMBER(model.initializer), Choices{"orthogonal", "glorot", "uniform"},
             "Initialisation of the weights. orthogonal: recurrent ones orthogonal (Saxe et al. 2014), the others "
             "as Glorot & Bengio 2010. glorot: all as the latter. uniform: +-1/sqrt(hidden), biases too, as in "
             "PyTorch.")
          .otherwise(kGenerate, "uniform"),
      option("model.forget_bias", MNEMO_MEMBER(model.forget_bias), Range{-10, 10},
             "Added to the initial value of the forget gate's bias; for cifg_lstm and min_gru subtracted from the "
             "input gate's. gru and rnn have none. chrono: the units' memories are to last from 2 to "
             "model.forget_range steps, drawn uniformly: the forget gate's bias is log(u), with u uniform from 1 to "
             "model.forget_range - 1, and the input gate's -log(u); for gru the update gate's is log(u) (Tallec & "
             "Ollivier 2018). rnn has no such gate.")
          .otherwise(kGenerate, 0.0),
      option("model.forget_range", MNEMO_MEMBER(model.forget_range), Range{2, 1e6},
             "With model.forget_bias chrono: the longest time in steps over which the model is to remember."),
      option("model.embedding_deviation", MNEMO_MEMBER(model.embedding_deviation), Range{0, 10},
             "Standard deviation of the initial embeddings.")
          .otherwise(kClassify, 0.05),
  };
}

// Long because it is a table: one option per row.
std::vector<Option> training_options() {
  return {
      option("training.optimizer", MNEMO_MEMBER(training.optimizer), Choices{"sgd", "adam", "adamw", "rmsprop"},
             "The optimiser."),
      option("training.learning_rate", MNEMO_MEMBER(training.learning_rate), Range{0, 1000}, "Peak learning rate.")
          .after_language_model(kClassify, 0.001),
      option("training.momentum", MNEMO_MEMBER(training.momentum), Range{0, 0.9999}, "Momentum of sgd and rmsprop."),
      option("training.nesterov", MNEMO_MEMBER(training.nesterov), Anything{}, "Nesterov momentum for sgd."),
      option("training.beta1", MNEMO_MEMBER(training.beta1), Range{0, 0.9999},
             "Decay of the first moment of adam and adamw."),
      option("training.beta2", MNEMO_MEMBER(training.beta2), Range{0, 0.999999},
             "Decay of the second moment of adam and adamw."),
      option("training.epsilon", MNEMO_MEMBER(training.epsilon), Range{1e-12, 1},
             "Added to the square root in adam, adamw and rmsprop."),
      option("training.alpha", MNEMO_MEMBER(training.alpha), Range{0, 0.999999},
             "Decay of the mean square of rmsprop."),
      option("training.weight_decay", MNEMO_MEMBER(training.weight_decay), Range{0, 10},
             "Decoupled weight decay (Loshchilov & Hutter 2019) for sgd, adamw and rmsprop."),
      option("training.schedule", MNEMO_MEMBER(training.schedule),
             Choices{"constant", "linear", "slanted", "cosine", "inverse_sqrt", "plateau"},
             "Schedule of the learning rate after warm-up. slanted: linear, after a warm-up of a tenth of all steps "
             "where training.warmup is 0 (the slanted triangle of Howard & Ruder 2018)."),
      option("training.warmup", MNEMO_MEMBER(training.warmup), Anything{},
             "Linear warm-up: \"500 steps\", or a number of epochs.")
          .otherwise(kTranslate, 1),
      option("training.final_rate", MNEMO_MEMBER(training.final_rate), Range{0, 1},
             "Final rate of linear, slanted and cosine, as a fraction of learning_rate.")
          .otherwise(kTag | kGenerate | kTranslate, 0.02),
      option("training.plateau_factor", MNEMO_MEMBER(training.plateau_factor), Range{0.01, 1},
             "plateau: factor applied to the rate when the metric stops improving."),
      option("training.plateau_patience", MNEMO_MEMBER(training.plateau_patience), Range{1, 1e6},
             "plateau: evaluations without improvement before that."),
      option("training.layer_rate", MNEMO_MEMBER(training.layer_rate), Range{0.01, 1},
             "The learning rate of a layer as a fraction of that of the layer above it, from the output down to the "
             "embedding (Howard & Ruder 2018: 0.38): a run of --init-from changes its lower layers less."),
      option("training.unfreeze", MNEMO_MEMBER(training.unfreeze), Range{0, 1e6},
             "Epochs after which the next lower layer is trained too, at first the output alone, with the table that "
             "is tied to it (gradual unfreezing, Howard & Ruder 2018); 0: all layers from the start."),
      option("training.batch_size", MNEMO_MEMBER(training.batch_size), Range{1, 1e6},
             "Texts per batch; for generate with records, as many units as that number of texts has on average.")
          .by_size(kClassify, {{500, 8}, {0, 32}})
          .by_size(kTag, {{300, 4}, {1000, 8}, {0, 16}})
          .by_size(kGenerate, {{50000, 8}, {500000, 16}, {0, 32}})
          .by_size(kTranslate, {{2000, 16}, {0, 64}}),
      option("training.batch_tokens", MNEMO_MEMBER(training.batch_tokens), Range{0, kMany},
             "Units per batch, instead of batch_size; 0: batch_size applies."),
      option(
          "training.bptt", MNEMO_MEMBER(training.bptt), Range{0, 1e6},
          "Steps through which gradients are backpropagated. generate: those of a batch; the state carries over to "
          "the next batch, and batch_size rows of the corpus are read in parallel. classify: texts of more units are "
          "read in pieces of so many, so that memory does not grow with their length; the state is carried from "
          "piece to piece and all are pooled, but gradients are cut between them, dropout is drawn anew for each, "
          "and each is read twice (Howard & Ruder 2018). 0: texts are read as a whole.")
          .only(kClassify | kGenerate)
          .otherwise(kGenerate, 128)
          .left_out_by_default(),
      option("training.language_model", MNEMO_MEMBER(training.language_model), Anything{},
             "Train a language model of the texts of train first, in output.dir/language-model, and start from it (Dai "
             "& Le 2015); so it is, whatever this value, with data.unlabelled.")
          .only(kClassify)
          .left_out_by_default(),
      option("training.language_epochs", MNEMO_MEMBER(training.language_epochs), Range{1, 1e6},
             "Epochs of the language model that is trained first (training.language_model).")
          .only(kClassify),
      option(
          "training.rotate", MNEMO_MEMBER(training.rotate), Anything{},
          "Begin each epoch at another unit of the corpus, drawn by seed and epoch, so that the rows and batches are "
          "cut elsewhere; after its last unit the corpus goes on at its first (Melis et al. 2020). Not with "
          "data.records.")
          .only(kGenerate),
      option("training.epochs", MNEMO_MEMBER(training.epochs), Range{1, 1e6}, "Maximum number of epochs.")
          .by_size(kClassify, {{500, 30}, {3000, 15}, {15000, 8}, {60000, 5}, {0, 3}})
          .by_size(kTag, {{300, 40}, {1000, 30}, {20000, 20}, {50000, 10}, {0, 5}})
          .by_size(kGenerate, {{2000000, 25}, {20000000, 8}, {0, 3}})
          .by_size(kTranslate, {{2000, 60}, {10000, 40}, {50000, 20}, {200000, 10}, {0, 5}}),
      option("training.max_minutes", MNEMO_MEMBER(training.max_minutes), Range{0, 1e6},
             "Maximum minutes of training; 0: no limit. A run that this stops is not reproducible bit for bit. A "
             "language model that is trained first has as many minutes of its own."),
      option("training.clip_norm", MNEMO_MEMBER(training.clip_norm), Range{0, kMany},
             "Maximum gradient norm, over all parameters; larger gradients are scaled down. 0: no clipping.")
          .otherwise(kGenerate | kTranslate, 1.0),
      option("training.average_from", MNEMO_MEMBER(training.average_from), Range{0, 1e6},
             "Epoch from which on the model is the mean of the weights at all evaluations since (Izmailov et al. "
             "2018); 0: no averaging.")
          .by_size(kClassify | kTag, "0 below 1000, else a quarter of training.epochs", quarter_of_epochs)
          .by_size(kTranslate, "three fifths of training.epochs", three_fifths_of_epochs),
      option("training.average_after", MNEMO_MEMBER(training.average_after), Range{0, 1e6},
             "Once dev is worse than its best before the last n evaluations (n: this value), the model is the mean of "
             "the weights at all steps since (NT-ASGD, Merity et al. 2017); 0: no averaging. Not with average_from."),
      option("training.class_weight", MNEMO_MEMBER(training.class_weight), Anything{},
             "Weights of the classes in the loss: none, balanced, or an object of label: weight.")
          .only(kClassify),
      option("training.label_smoothing", MNEMO_MEMBER(training.label_smoothing), Range{0, 0.9},
             "Fraction of the target spread over all classes (Szegedy et al. 2016).")
          .only(kClassify | kTag | kTranslate)
          .otherwise(kTranslate, 0.1),
      option("training.early_stopping.metric", MNEMO_MEMBER(training.early_stopping.metric),
             TaskValues{{"auto"},
                        {"accuracy", kClassify},
                        {"micro_f1", kClassify},
                        {"macro_f1", kClassify},
                        {"weighted_f1", kClassify},
                        {"log_loss", kClassify},
                        {"auc", kClassify},
                        {"loss"},
                        {"f1", kTag},
                        {"token_accuracy", kTag},
                        {"nats", kGenerate},
                        {"bleu", kTranslate},
                        {"chrf", kTranslate}},
             "Metric on dev that selects the best model and stops training early. auto: accuracy; for tag, f1 if "
             "tags spell spans, else token_accuracy; for generate, nats per unit; for translate, bleu of greedy "
             "decoding."),
      option("training.early_stopping.patience", MNEMO_MEMBER(training.early_stopping.patience), Range{0, 1e6},
             "Evaluations without improvement before training stops; 0: never stop early."),
      option("training.evaluate_every", MNEMO_MEMBER(training.evaluate_every), Anything{},
             "How often dev is evaluated: a number of epochs, or \"500 steps\", \"10 minutes\".")
          .by_size(kClassify, {{5000, 1}, {0, 0.5}}),
      option("training.save_every", MNEMO_MEMBER(training.save_every), Anything{},
             "How often the run is saved for --resume, in the form of evaluate_every."),
      option("training.precision", MNEMO_MEMBER(training.precision), Choices{"float32", "bfloat16"},
             "Precision of the recurrent layers' products. bfloat16 rounds their factors and keeps float32 sums and "
             "weights: up to twice as fast on processors that have it (vdpbf16ps), about four times on those with "
             "tiles (AMX); on others it is refused. Results depend on the kind of processor."),
      option("training.seed", MNEMO_MEMBER(training.seed), Range{0, 9e15},
             "Seed of initialisation, order and dropout. The same seed gives the same bytes for any number of "
             "threads."),
      option("training.threads", MNEMO_MEMBER(training.threads), Range{0, 1024},
             "Number of threads; 0: one for each core that the process may use. --threads overrides it.",
             Place::kLocal),
      option("training.memory", MNEMO_MEMBER(training.memory), Range{0, kMany},
             "Megabytes of memory for the records of train, dev and test, and for what is derived from them. Beyond it "
             "they lie in a file of output.dir that has no name and goes with the run, and are read and encoded batch "
             "by batch; the model has the same bytes.",
             Place::kLocal)
          .only(kClassify | kTag | kTranslate),
      option("training.sampled_softmax", MNEMO_MEMBER(training.sampled_softmax), Range{0, kMany},
             "For large vocabularies: the softmax of a batch in training sums over the targets and this many other "
             "units on average, drawn anew for each batch, frequent ones more often, and weighted accordingly (Jean et "
             "al. 2015), so that the loss shown of train is not comparable with that of dev; 0, or not fewer than "
             "there are units: over all, as dev always is. classify: of the language model that is trained first.")
          .only(kClassify | kGenerate)
          .left_out_by_default(),
      option("training.shards", MNEMO_MEMBER(training.shards), Range{1, 1024},
             "Parts into which each batch is dealt. The gradients of the parts are computed one by one and added in a "
             "fixed order, so that a run gives the same bytes however many processes share its parts (mpirun -n R "
             "mnemo train ..., with R at most this number; see docs/scaling.md). Another number of shards gives other "
             "bytes: random masks are drawn for each shard, and sums are rounded elsewhere.")
          .left_out_by_default(),
      option("training.exchange", MNEMO_MEMBER(training.exchange), Choices{"float32", "bfloat16"},
             "Precision of the gradients that processes send each other, embeddings' rows apart. bfloat16 halves them, "
             "a quarter of all that is sent. The gradient of each of training.shards and each sum of them is rounded, "
             "sent or not, so that the bytes of a run are still the same for any number of processes.")
          .left_out_by_default(),
  };
}

std::vector<Option> output_options() {
  return {
      option("output.dir", MNEMO_MEMBER(output.dir), Anything{},
             "Folder of the run: model.safetensors (best on dev), resume.safetensors, log.jsonl, report.html. "
             "Relative to the working directory.",
             Place::kLocal),
  };
}

}  // namespace

const TaskValues& data_formats() {
  static const TaskValues formats{
      {"tsv", kClassify | kTranslate},
      {"csv", kClassify},
      {"jsonl", kClassify | kTag | kTranslate},
      {"fasttext", kClassify},
      {"spaced", kClassify},
      {"trees", kClassify},
      {"conll", kTag},
      {"conllu", kTag},
      {"slashed", kTag},
      {"lines", kGenerate},
      {"poems-json", kGenerate},
      {"parallel", kTranslate},
  };
  return formats;
}

const std::vector<Option>& options() {
  static const std::vector<Option> all = [] {
    std::vector<Option> out;
    for (const auto section :
         {task_options, data_options, text_options, model_options, training_options, output_options})
      for (Option& o : section()) out.push_back(std::move(o));
    return out;
  }();
  return all;
}

}  // namespace mnemo
