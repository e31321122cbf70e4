// Training a translator.
#pragma once

#include <memory>
#include <string>

#include "measure/translation_metrics.h"
#include "tasks/translate/data.h"

namespace mnemo {

/// The metric on dev by which a translator is chosen.
std::string translation_metric(const Config& config);

/// How BLEU cuts the references: as `name` says, a value of data.bleu, for auto by the units of `config` and the script
/// of the references.
BleuTokens bleu_tokens_for(const std::string& name, const Config& config, const PairSet& pairs);

/// With the vocabularies of train or, if `from` is a translator, its.
std::unique_ptr<TextTranslator> build_translator(const Config& config, const ReadRequest& request,
                                                 const TranslationData& data, const TextModel* from);

std::unique_ptr<ModelTraining> translation_training(const Config& config, const TranslationData& data,
                                                    TextTranslator& model);

}  // namespace mnemo
