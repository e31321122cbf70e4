#include "tasks/word_vectors.h"

#include <algorithm>
#include <functional>

#include "base/error.h"

namespace mnemo {

std::unique_ptr<PretrainedVectors> read_vectors(const Config& config, const ReadRequest& request,
                                                const Vocabulary& vocabulary) {
  if (config.text.pretrained.empty()) return nullptr;
  const std::string path = data_path(config.text.pretrained, config.data.dir, request.config_path);
  const bool all = config.text.pretrained_vocabulary == "all";
  PretrainedVectors vectors =
      PretrainedVectors::read(path, all ? std::function<bool(std::string_view)>() : wanted_by(vocabulary));
  vectors.cover(vocabulary);
  const VectorsReport& r = vectors.report();
  const auto percent = [](std::int64_t part, std::int64_t whole) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(1, whole));
  };
  request.log(fmt::format(
      "vectors: {} of {} words ({:.1f}%), {:.1f}% of train's units; exact {}, lower-cased {}, digits {}; "
      "{} lines of dimension {}, {} unusable{}",
      r.covered, r.words, percent(r.covered, r.words), percent(r.tokens_covered, r.tokens), r.matched_exact,
      r.matched_lower, r.matched_digits, r.lines, r.dimension, r.odd, r.odd > 0 ? ", first " + r.first_odd : ""));
  return std::make_unique<PretrainedVectors>(std::move(vectors));
}

}  // namespace mnemo
