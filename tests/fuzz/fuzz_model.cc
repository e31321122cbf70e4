// For any bytes: an Error, or a model of any task that answers with finite numbers. Most mutants keep the form of a
// model file and change its content: a field of the header, a value of the JSON texts in its metadata, a tensor.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "decode/generate.h"
#include "pipeline/text_classifier.h"
#include "pipeline/text_language_model.h"
#include "pipeline/text_model.h"
#include "pipeline/text_tagger.h"
#include "pipeline/translation.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using mnemo::Json;
using Random = std::mt19937;

void require(bool truth) {
  if (!truth) __builtin_trap();
}

// Requires every number of an answer to be finite.
void require_finite(const Json& answer) {
  if (answer.is_structured()) {
    for (const Json& part : answer) require_finite(part);
  } else {
    require(!answer.is_null());
    if (answer.is_number_float()) require(std::isfinite(answer.get<double>()));
  }
}

// By a beam with a beginning and a term, which the vocabulary may be unable to spell, and by sampling.
void translate(const mnemo::TextTranslator& model, mnemo::ThreadPool& pool) {
  const std::vector<std::string> lines{"der Hund", "\xE6\x88\xBF  a"};
  mnemo::TranslationOptions beam, sample;
  beam.beam = beam.nbest = 2;
  beam.prefixes = {"the", ""};
  beam.glossary = {{"a", "dog"}};
  sample.sampling = mnemo::SamplingOptions{};
  for (const mnemo::TranslationOptions& options : {sample, beam})
    for (const auto& found : mnemo::translate(model, lines, options, pool))
      for (const mnemo::Translation& one : found) {
        require(std::isfinite(one.log_probability) && one.text.find('\n') == std::string::npos);
        require(one.attention.size() == one.units.size() && one.places.size() == one.units.size());
      }
}

void ask(mnemo::TextModel& model) {
  mnemo::ThreadPool pool(1);
  mnemo::Workspace workspace(pool);
  std::vector<Json> records;
  for (const char* text : {"", "a fine film", "\xE6\x88\xBF\xE9\x97\xB4 \xEF\xBF\xBD 7"})
    records.push_back({{"text", text}});
  for (const Json& answer : model.answer(records, workspace)) require_finite(answer);
  if (const auto* language = dynamic_cast<const mnemo::TextLanguageModel*>(&model)) {
    mnemo::GenerateOptions options;
    options.length = 3;
    const std::array prompt{language->text_end()};
    for (const auto& text : mnemo::generate(language->network(), prompt, options, pool))
      require(std::isfinite(text.log_probability));
  }
  if (const auto* translator = dynamic_cast<const mnemo::TextTranslator*>(&model)) translate(*translator, pool);
  require(!std::isnan(model.verify(pool)));
}

std::size_t below(Random& random, std::size_t end) { return random() % end; }

// Edge cases of a field's values.
Json odd_value(Random& random, const Json& old) {
  static const std::vector<Json> values{
      nullptr,        true,       0,          1,          -1,         2,          3,           0.5,
      -0.0,           1e308,      1e-320,     16384,      16385,      1u << 31,   1 << 30,     9007199254740993,
      UINT64_MAX,     INT64_MIN,  "",         "x",        "O",        "B-",       "I-X",       "\\x1b[31m",
      "\n",           "lstm",     "gru",      "rnn",      "min_lstm", "sru",      "min_gru",   "word",
      "char",         "grapheme", "bioes",    "bmes",     "none",     "cnn",      "bilstm",    "words",
      "tagged-words", "int8",     "bfloat16", "classify", "tag",      "generate", "translate", "subword",
      "general",      "additive", "mean",     "jsonl",    "conllu",   "max",      "attention", Json::array(),
      Json::object(), Json{1, 2}, Json{"x"}};
  if (old.is_number_integer() && below(random, 3) == 0)
    return old.get<std::int64_t>() % 100000 + (below(random, 2) ? 1 : -1);
  return values[below(random, values.size())];
}

// Replaces, removes or duplicates one value somewhere inside.
void change_somewhere(Random& random, Json& json) {
  Json* at = &json;
  while (at->is_structured() && !at->empty() && below(random, 8) != 0) {
    auto child = at->begin();
    std::advance(child, static_cast<std::ptrdiff_t>(below(random, at->size())));
    if (child->is_structured() || below(random, 3) != 0) {
      at = &*child;
      if (!at->is_structured()) break;
    } else if (below(random, 2) == 0) {
      at->erase(child);
      return;
    } else if (at->is_array()) {
      at->push_back(*child);
      return;
    }
  }
  *at = odd_value(random, *at);
}

// Most texts of the metadata are JSON.
void change_metadata(Random& random, Json& metadata) {
  if (!metadata.is_object() || metadata.empty()) return;
  auto entry = metadata.begin();
  std::advance(entry, static_cast<std::ptrdiff_t>(below(random, metadata.size())));
  if (below(random, 2) == 0 && metadata.contains("config")) entry = metadata.find("config");
  if (!entry->is_string() || below(random, 10) == 0) {
    metadata.erase(entry);
    return;
  }
  try {
    Json value = mnemo::parse_json(entry->get_ref<const std::string&>());
    change_somewhere(random, value);
    *entry = value.dump();
  } catch (const std::exception&) {
    *entry = odd_value(random, *entry).dump();
  }
}

// Changes one value of a tensor, or all values from there on.
void change_tensor(Random& random, const Json& header, std::string& tensors) {
  static const std::array<float, 10> floats{0.0f, -0.0f, 1.0f, -1.0f, 3e38f, -3e38f, 1e-45f, 1e10f, INFINITY, NAN};
  if (header.empty()) return;
  auto entry = header.begin();
  std::advance(entry, static_cast<std::ptrdiff_t>(below(random, header.size())));
  if (!entry->is_object() || !entry->contains("data_offsets")) return;
  const auto begin = (*entry)["data_offsets"].at(0).get<std::size_t>(),
             end = std::min(tensors.size(), (*entry)["data_offsets"].at(1).get<std::size_t>());
  if (begin + sizeof(float) > end) return;
  const float value = floats[below(random, floats.size())];
  const std::size_t first = below(random, 2) == 0 ? 0 : below(random, (end - begin) / sizeof value);
  const bool all = below(random, 2) == 0;
  for (std::size_t at = begin + first * sizeof value; at + sizeof value <= end; at += sizeof value) {
    std::memcpy(tensors.data() + at, &value, sizeof value);
    if (!all) break;
  }
}

std::string mutant_of(std::string_view bytes, Random& random) {
  std::uint64_t size = 0;
  if (bytes.size() < sizeof size) return {};
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > bytes.size() - sizeof size) return {};
  Json header = mnemo::parse_json(bytes.substr(sizeof size, size));
  if (!header.is_object()) return {};
  std::string tensors(bytes.substr(sizeof size + size));
  switch (below(random, 6)) {
    case 0:
    case 1:
      change_tensor(random, header, tensors);
      break;
    case 2:
      change_somewhere(random, header);
      break;
    default:
      change_metadata(random, header["__metadata__"]);
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text + tensors;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    ask(*mnemo::TextModel::from_contents(
        mnemo::parse_model(mnemo::SafetensorsFile::parse(std::move(bytes), "fuzz"), "")));
  } catch (const mnemo::Error& error) {
    const std::string message = error.what();
    require(message.find('\n') == std::string::npos && message.size() < 5000);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  Random random(seed);
  std::string mutant;
  try {
    if (below(random, 8) != 0) mutant = mutant_of({reinterpret_cast<const char*>(data), size}, random);
  } catch (const std::exception&) {  // not in a form that could be kept
  }
  if (mutant.empty() || mutant.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, mutant.data(), mutant.size());
  return mutant.size();
}
