#include "pipeline/network_options.h"

#include "config/options.h"
#include "pipeline/text_translator.h"

namespace mnemo {
namespace {

Initialiser initialiser(const std::string& name) {
  return name == "orthogonal" ? Initialiser::kOrthogonal
         : name == "glorot"   ? Initialiser::kGlorot
                              : Initialiser::kUniform;
}

Residual residual(const std::string& name) {
  return name == "add" ? Residual::kAdd : name == "highway" ? Residual::kHighway : Residual::kNone;
}

// Only a language model, whose task has the key, must not see later steps.
SelfAttentionOptions self_attention_options(const Config& c) {
  const SelfAttentionConfig& a = c.model.self_attention;
  if (a.layer == 0) return {};
  const bool causal = find_option("model.self_attention.memory")->tasks.has(c.task);
  return {a.layer, causal ? a.memory : 0, a.feed_forward, static_cast<float>(a.dropout)};
}

}  // namespace

RecurrentOptions recurrent_options(const Config& c) {
  const ModelConfig& m = c.model;
  const auto number = [](double value) { return static_cast<float>(value); };
  return {.cell = cell_kind(m.cell, {m.layer_norm, m.reset_after, m.activation == "relu"}),
          .hidden = m.hidden,
          .layers = m.layers,
          .bidirectional = m.bidirectional,
          .projection = m.projection,
          .initialiser = initialiser(m.initializer),
          .forget_bias = number(m.forget_bias.number),
          .forget_range = m.forget_bias.chrono ? m.forget_range : 0.0,
          .layer_dropout = number(m.layer_dropout),
          .variational = m.variational,
          .residual = residual(m.residual),
          .sum_layers = m.sum_layers,
          .mogrifier = {m.mogrifier.rounds, m.mogrifier.rank},
          .attention = self_attention_options(c),
          .state_dropout = number(m.state_dropout),
          .weight_dropout = number(m.weight_dropout),
          .zoneout_h = number(m.zoneout_h),
          .zoneout_c = number(m.zoneout_c),
          .training_precision =
              c.training.precision == "bfloat16" ? kernels::Precision::kBfloat16 : kernels::Precision::kFloat32,
          .learned_initial = m.learned_initial};
}

ConvolutionOptions convolution_options(const Config& c) {
  const ConvolutionConfig& convolution = c.model.convolution;
  return {convolution.widths, convolution.filters, convolution.place == "before"};
}

void check_network(const Config& config, std::vector<std::string>& errors) {
  const ModelConfig& m = config.model;
  if (m.layer_norm && m.cell != "lstm") errors.push_back("model.layer_norm: only the cell lstm takes it");
  for (const std::string& conflict : recurrent_conflicts(recurrent_options(config)))
    errors.push_back("model." + conflict);
  if (find_option("model.attention")->tasks.has(config.task))
    for (const std::string& conflict : attention_conflicts(translator_options(config, 1, 1).attention_options()))
      errors.push_back("model." + conflict);
}

Config parse_model_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets,
                          const GivenDefaults& given, Conflicts conflicts) {
  return parse_run_config(text, name, sets, check_network, given, conflicts);
}

Config load_model_config(const std::string& path, const std::vector<std::string>& sets) {
  return parse_model_config(read_config(path), path, sets);
}

TokenizerOptions tokenizer_options(const TextConfig& text) {
  return {.unit = *unit_from_name(text.unit),
          .normalize = *normalization_from_name(text.normalize),
          .lowercase = text.lowercase,
          .zero_digits = text.digits == "zero",
          .reverse = text.reverse};
}

Tokenizer tokenizer_of(const TextConfig& text, const Vocabulary& vocabulary) {
  return Tokenizer(tokenizer_options(text), vocabulary.subwords());
}

Vocabulary build_vocabulary(const TextConfig& text, const VocabularyBuilder& builder) {
  const auto min_count = static_cast<std::uint64_t>(text.min_count);
  const auto max_vocab = static_cast<std::size_t>(text.max_vocab);
  if (*unit_from_name(text.unit) != Unit::kSubword) return builder.build(min_count, max_vocab);
  return builder.build_subwords(static_cast<std::size_t>(text.merges), min_count, max_vocab);
}

NgramOptions ngram_options(const TextConfig& text) {
  return {.char_min = static_cast<int>(text.ngrams.char_min),
          .char_max = static_cast<int>(text.ngrams.char_max),
          .unit = static_cast<int>(text.ngrams.unit),
          .buckets = static_cast<std::uint32_t>(text.ngrams.buckets)};
}

}  // namespace mnemo
