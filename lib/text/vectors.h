// Pretrained word vectors in the text formats of GloVe and word2vec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/line_reader.h"
#include "text/string_table.h"
#include "text/vocabulary.h"

namespace mnemo {

/// How a word was found.
enum class VectorMatch { kNone, kExact, kLower, kDigits };

struct VectorsReport {
  std::int64_t lines = 0;  ///< lines read, the header not included
  std::int64_t kept = 0;
  std::int64_t odd =
      0;  ///< lines that could not be used: another width, not a number, not finite, a repeated word, not UTF-8
  std::string first_odd;  ///< "FILE:LINE: why"
  int dimension = 0;
  bool header = false;
  // Filled by `cover`:
  std::int64_t words = 0, covered = 0;          ///< of the vocabulary, the unknown token not included
  std::int64_t tokens = 0, tokens_covered = 0;  ///< the same, each word weighted by its count
  std::int64_t matched_exact = 0, matched_lower = 0, matched_digits = 0;  ///< words, by how they were found
};

/// Words and their vectors.
class PretrainedVectors {
 public:
  /// Reads lines `WORD NUMBER ... NUMBER`, with or without a first line `COUNT DIMENSION`; gzip data are decompressed.
  /// The numbers are the last `dimension` fields separated by blanks, so a word may contain blanks. The dimension is
  /// that of the header, else that of most of the first lines.
  ///
  /// Keeps the words for which `wanted` is true (empty: all), at most `cap` of them (0: no limit); once there are that
  /// many, the rest of the file is not read. A repeated word keeps its first vector. Lines that cannot be used are
  /// counted, and the first one is described in the report; for words that are not wanted only the number of fields is
  /// checked.
  ///
  /// Throws Error if there is no usable line, or if the dimension is not `expected_dimension` (0: any).
  static PretrainedVectors read(const std::string& path, const std::function<bool(std::string_view)>& wanted = {},
                                std::size_t cap = 0, int expected_dimension = 0);
  /// The same for lines that are already open (with InvalidUtf8::kReplace).
  static PretrainedVectors read(LineReader lines, const std::function<bool(std::string_view)>& wanted = {},
                                std::size_t cap = 0, int expected_dimension = 0);

  int dimension() const { return report_.dimension; }
  std::size_t size() const { return words_.size(); }
  std::string_view word(std::size_t i) const { return words_.text(static_cast<std::int32_t>(i)); }
  /// `dimension()` values.
  const float* vector(std::size_t i) const { return values_.data() + i * static_cast<std::size_t>(dimension()); }

  /// Index of the word, or -1.
  std::int64_t find(std::string_view word) const { return words_.find(word); }
  /// Index of the word, else of its lower-cased form, else of that with digits as 0; -1 if there is none.
  std::int64_t find_relaxed(std::string_view word, VectorMatch* match = nullptr) const;

  /// Stores the coverage of a vocabulary in the report.
  void cover(const Vocabulary& vocabulary);
  const VectorsReport& report() const { return report_; }

 private:
  friend class VectorsFile;

  StringTable words_;
  std::vector<float> values_;  // [size, dimension]
  VectorsReport report_;
};

/// For PretrainedVectors::read: true for all forms under which `find_relaxed` may look up a word of the vocabulary.
std::function<bool(std::string_view)> wanted_by(const Vocabulary& vocabulary);

}  // namespace mnemo
