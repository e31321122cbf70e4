// Pretrained word vectors in the text forms of GloVe and word2vec.
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
      0;  ///< lines that could not be used: another width, no number, not finite, a repeated word, no UTF-8
  std::string first_odd;  ///< "FILE:LINE: why"
  int dimension = 0;
  bool header = false;
  // Filled by `cover`:
  std::int64_t words = 0, covered = 0;          ///< of the vocabulary, the unknown token not included
  std::int64_t tokens = 0, tokens_covered = 0;  ///< the same, each word weighed by its count
  std::int64_t matched_exact = 0, matched_lower = 0, matched_digits = 0;  ///< words, by how they were found
};

/// Words and their vectors.
class PretrainedVectors {
 public:
  /// Reads lines `WORD NUMBER ... NUMBER`, with or without a first line `COUNT DIMENSION`; `.gz` contents are unpacked.
  /// The numbers are the last `dimension` fields between blanks, so a word may hold blanks. The dimension is the
  /// header's, else what most of the first lines have.
  ///
  /// Keeps the words for which `wanted` is true (empty: all), at most `cap` of them (0: no limit; the rest of the file
  /// is then not read). A word that comes again keeps its first vector. Lines that make no sense are counted, the first
  /// one is described in the report; of words that are not wanted only the number of fields is checked.
  ///
  /// Throws Error if there is no usable line, or if the dimension is not `expected_dimension` (0: any).
  static PretrainedVectors read(const std::string& path, const std::function<bool(std::string_view)>& wanted = {},
                                std::size_t cap = 0, int expected_dimension = 0);
  /// The same over lines that are open already (with InvalidUtf8::kReplace).
  static PretrainedVectors read(LineReader lines, const std::function<bool(std::string_view)>& wanted = {},
                                std::size_t cap = 0, int expected_dimension = 0);

  int dimension() const { return report_.dimension; }
  std::size_t size() const { return words_.size(); }
  std::string_view word(std::size_t i) const { return words_.text(static_cast<std::int32_t>(i)); }
  /// `dimension()` numbers.
  const float* vector(std::size_t i) const { return values_.data() + i * static_cast<std::size_t>(dimension()); }

  /// Index of the word, or -1.
  std::int64_t find(std::string_view word) const { return words_.find(word); }
  /// Index of the word, else of its lower-cased form, else of that with digits as 0; -1 if none is there.
  std::int64_t find_relaxed(std::string_view word, VectorMatch* match = nullptr) const;

  /// Compares with a vocabulary and notes the coverage in the report.
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
