#include "pipeline/word_table.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "checkpoint/format.h"
#include "pipeline/network_options.h"
#include "pipeline/stored_model.h"
#include "text/normalize.h"

namespace mnemo {

WordTable::WordTable(const TextConfig& text, Vocabulary vocabulary)
    : text_(text),
      vocabulary_(std::move(vocabulary)),
      encoder_(tokenizer_of(text, vocabulary_), vocabulary_, ngram_options(text)) {}

Vocabulary WordTable::read_vocabulary(const SafetensorsFile& file, const Config& config) {
  Vocabulary out = stored_vocabulary(file, format::kVocabulary);
  const TensorView* table = file.find(format::kEmbeddingWeight);
  // Sizes are checked against the tensors, so that no memory is allocated that the file cannot fill.
  if (!table || table->shape.size() != 2 || table->shape[1] != config.model.embedding)
    fail("{}: damaged model: tensor {} does not fit model.embedding", file.name(), format::kEmbeddingWeight);
  if ((out.subwords() != nullptr) != (config.text.unit == "subword"))
    fail("{}: damaged model: its vocabulary is not of the units of text.unit", file.name());
  const NgramOptions ngrams = ngram_options(config.text);
  if (out.size() + (ngrams.any() ? std::int64_t{ngrams.buckets} : 0) != table->shape[0])
    fail("{}: damaged model: the number of rows of tensor {} does not fit vocabulary and text.ngrams", file.name(),
         format::kEmbeddingWeight);
  return out;
}

void WordTable::initialise(Embedding& embedding, const PretrainedVectors* vectors) {
  // A row that training never touches, such as that of an n-gram that only dev has, must contribute nothing.
  Parameter& table = embedding.weight;
  std::fill(table.value.data() + vocabulary_.size() * table.row_size(), table.value.data() + table.size(), 0.0f);
  if (!vectors) return;
  table.rate = static_cast<float>(text_.pretrained_rate);
  const Index E = table.row_size();
  for (std::int32_t id = 1; id < vocabulary_.size(); ++id) {
    const std::int64_t at = vectors->find_relaxed(vocabulary_.text(id));
    if (at < 0) continue;
    std::copy_n(vectors->vector(static_cast<std::size_t>(at)), E, table.value.data() + id * E);
    if (!text_.pretrained_tune) {
      table.fixed_rows.resize(table.rows());
      table.fixed_rows[id] = 1;
    }
  }
  if (text_.pretrained_vocabulary != "all") return;
  for (std::size_t i = 0; i < vectors->size(); ++i) {
    if (vocabulary_.contains(vectors->word(i)) || vectors->word(i) == Vocabulary::kUnknownText) continue;
    if (text_.pretrained_limit > 0 && extra_words() >= text_.pretrained_limit) break;
    extra_words_.insert(vectors->word(i));
    own_values_.insert(own_values_.end(), vectors->vector(i), vectors->vector(i) + E);
  }
  extra_values_ = own_values_;
  embedding.set_frozen_rows(extra_values_);
}

void WordTable::append(std::vector<TensorView>& tensors, NarrowTensors& narrow, std::deque<std::string>& held) const {
  tensors.push_back(byte_tensor(format::kVocabulary, held.emplace_back(vocabulary_.serialize())));
  if (extra_words() == 0) return;
  Vocabulary table;
  for (std::int64_t i = 0; i < extra_words(); ++i) table.add(extra_words_.text(static_cast<std::int32_t>(i)));
  tensors.push_back(byte_tensor(format::kFrozenVocabulary, held.emplace_back(table.serialize())));
  narrow.append(format::kEmbeddingFrozen, extra_words(), std::ssize(extra_values_) / extra_words(),
                extra_values_.data(), tensors);
}

void WordTable::load(const ModelContents& contents, Embedding& embedding) {
  const SafetensorsFile& file = contents.file;
  if (!file.find(format::kFrozenVocabulary)) return;
  const Vocabulary table = stored_vocabulary(file, format::kFrozenVocabulary);
  for (std::int32_t id = 1; id < table.size(); ++id) extra_words_.insert(table.text(id));
  const std::vector<std::int64_t> shape{extra_words(), embedding.dimension()};
  if (contents.metadata.precision == kernels::Precision::kFloat32)
    extra_values_ = mapped_matrix(file, format::kEmbeddingFrozen, shape);
  if (extra_values_.empty())
    load_own_values(contents, shape);
  else
    mapped_ = file.mapped(*file.find(format::kEmbeddingFrozen));
  embedding.set_frozen_rows(extra_values_);
}

void WordTable::load_own_values(const ModelContents& contents, const std::vector<std::int64_t>& shape) {
  own_values_.resize(shape[0] * shape[1]);
  extra_values_ = own_values_;
  if (const std::string error =
          load_matrix(contents.file, format::kEmbeddingFrozen, shape, contents.metadata.precision, own_values_.data());
      !error.empty())
    fail("{}: tensors do not fit the configuration: {}", contents.file.name(), error);
}

void WordTable::round(kernels::Precision precision) {
  if (extra_words() > 0)
    round_matrix(precision, extra_words(), std::ssize(extra_values_) / extra_words(), extra_values_.data());
}

std::vector<std::string> WordTable::sample_texts() const {
  // Units can be as long as lines, for example in text without blanks. A sample is made from short ones.
  constexpr std::size_t kLongest = 64;
  const std::string between = text_.blanks_between_units() ? " " : "";
  std::vector<std::string> out{"", "\xEF\xBF\xBD"};
  constexpr std::int32_t kWords = 12;
  for (std::int32_t first = 1; first < vocabulary_.size() && out.size() < 6; first += 4 * kWords) {
    std::string text;
    for (std::int32_t id = first; id < std::min(vocabulary_.size(), first + kWords); ++id)
      if (vocabulary_.text(id).size() <= kLongest)
        text += (text.empty() ? "" : between) + std::string(vocabulary_.text(id));
    out.push_back(text);
  }
  return out;
}

std::int32_t WordTable::extra_row(std::string_view word) const {
  std::int32_t at = extra_words_.find(word);
  if (at < 0) at = extra_words_.find(to_lower(word));
  if (at < 0) at = extra_words_.find(zero_digits(to_lower(word)));
  return at < 0 ? -1 : static_cast<std::int32_t>(rows()) + at;
}

void WordTable::encode(std::string_view line, EncodedText& out, const MergeDropout& dropout) const {
  encoder_.encode(line, out, dropout);
  use_extra_rows(out);
}

void WordTable::encode_units(std::span<const std::string> units, EncodedText& out, const MergeDropout& dropout) const {
  encoder_.encode_units(units, out, dropout);
  use_extra_rows(out);
}

void WordTable::use_extra_rows(EncodedText& out) const {
  if (extra_words_.size() == 0 || out.unknown == 0) return;
  for (std::int32_t u = 0; u < out.units(); ++u) {
    std::int32_t& own = out.rows[out.starts[u]];
    if (own != Vocabulary::kUnknown) continue;
    if (const std::int32_t row = extra_row(out.tokens.text(u)); row >= 0) own = row;
  }
}

}  // namespace mnemo
