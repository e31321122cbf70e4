// Every constant of the model file, which FORMAT.md describes.
#pragma once

#include <cstddef>

namespace mnemo::format {

// Limits of the container, checked by reader and writer.
inline constexpr std::size_t kMaxHeaderBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxEntries = 100'000;  // tensors, and likewise keys of `__metadata__`
inline constexpr std::size_t kMaxRank = 16;
inline constexpr const char* kMetadata = "__metadata__";

// Keys of `__metadata__`. Of these, config, labels, columns, metrics, calibration, provenance, self_test and state hold
// JSON text.
inline constexpr const char* kFormat = "format";
inline constexpr const char* kFormatVersion = "format_version";
inline constexpr const char* kProducer = "producer";
inline constexpr const char* kTask = "task";
inline constexpr const char* kConfig = "config";
inline constexpr const char* kLabels = "labels";
inline constexpr const char* kColumns = "columns";  // of taggers
inline constexpr const char* kMetrics = "metrics";
inline constexpr const char* kCalibration = "calibration";
inline constexpr const char* kProvenance = "provenance";
inline constexpr const char* kSelfTest = "self_test";
inline constexpr const char* kPrecision = "precision";  // absent: float32
inline constexpr const char* kState = "state";          // only in resume.safetensors, as kData
inline constexpr const char* kData = "data";

// Values.
inline constexpr const char* kFormatName = "mnemo";
inline constexpr const char* kResumeFormatName = "mnemo-resume";
inline constexpr const char* kVersion = "1";

// Tensors. Those of layer k of the recurrent network end in `_l<k>`, of its backward direction in `_l<k>_reverse`.
inline constexpr const char* kVocabulary = "vocabulary";
inline constexpr const char* kTargetVocabulary = "vocabulary.target";  // of translators without a joint one
inline constexpr const char* kLetters = "letters";                     // of taggers: the characters that they know
inline constexpr const char* kEmbeddingWeight = "embedding.weight";
inline constexpr const char* kEmbeddingFrozen = "embedding.frozen";
inline constexpr const char* kFrozenVocabulary = "embedding.frozen_vocabulary";
inline constexpr const char* kWeightIh = "rnn.weight_ih";
inline constexpr const char* kWeightHh = "rnn.weight_hh";
inline constexpr const char* kBiasIh = "rnn.bias_ih";
inline constexpr const char* kBiasHh = "rnn.bias_hh";
inline constexpr const char* kReverse = "_reverse";
inline constexpr const char* kAttentionWeight = "attention.weight";
inline constexpr const char* kOutputWeight = "output.weight";
inline constexpr const char* kOutputBias = "output.bias";

// Appended to the name of an I8 tensor: the tensor of its rows' scales.
inline constexpr const char* kScaleSuffix = ".scale";

// Prefixes in resume.safetensors, before the name of a tensor of the model.
inline constexpr const char* kFirstMoment = "m.";
inline constexpr const char* kSecondMoment = "v.";
inline constexpr const char* kBest = "best.";
inline constexpr const char* kAverage = "average.";

}  // namespace mnemo::format
