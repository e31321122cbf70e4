// Whatever the bytes are: Error, or a classifier that answers for any text with probabilities.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "pipeline/text_classifier.h"

namespace {

void require(bool truth) {
  if (!truth) __builtin_trap();
}

void classify(mnemo::TextClassifier& model) {
  static mnemo::ThreadPool pool(1);
  mnemo::Corpus corpus;
  mnemo::EncodedText encoded;
  for (const char* text : {"", "a fine film", "\xE6\x88\xBF\xE9\x97\xB4 \xEF\xBF\xBD 7"}) {
    model.encode(text, encoded);
    corpus.add(encoded);
  }
  mnemo::Arena arena;
  const auto p = model.probabilities(model.logits(corpus, pool, arena), true);
  require(p.size() == 3 * model.labels().size());
  for (float value : p) require(std::isnan(value) || (value >= 0.0f && value <= 1.0f));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    const auto model = mnemo::TextClassifier::from_contents(
        mnemo::parse_model(mnemo::SafetensorsFile::parse(std::move(bytes), "fuzz"), mnemo::TextClassifier::kTask));
    classify(*model);
    mnemo::ThreadPool pool(1);
    model->verify(pool);
  } catch (const mnemo::Error& error) {
    require(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
