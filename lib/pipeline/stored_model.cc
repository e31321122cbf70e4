#include "pipeline/stored_model.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/shown.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "kernels/elementwise.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Keys and values come and go with versions, so that a configuration which is not valid here most likely is in the
// version that wrote it. `problems`: a line each, the last of which may stand for more.
[[noreturn]] void refuse_config(const SafetensorsFile& file, std::string_view problems) {
  constexpr std::size_t kShown = 200;
  const std::string own = producer(), where = file.name() + ": ";
  const auto made_by = file.metadata().find(format::kProducer);
  const std::string maker = made_by == file.metadata().end() ? "an unnamed program" : shown(made_by->second);
  std::string_view first = problems.substr(0, problems.find('\n'));
  if (first.starts_with(where)) first.remove_prefix(where.size());
  const auto more = std::count(problems.begin(), problems.end(), '\n');
  fail("{}: {}: {}{}", file.name(),
       maker == own
           ? fmt::format("damaged model, or one of another build of {}: its configuration", own)
           : fmt::format("its configuration is of another version of mnemo (made by {}; this is {})", maker, own),
       shown(first, kShown), more > 0 ? fmt::format("; and {} more", more) : "");
}

}  // namespace

Config model_config(const ModelContents& contents) {
  try {
    return parse_config(contents.metadata.config.dump(), contents.file.name());
  } catch (const UsageError& error) {
    refuse_config(contents.file, error.what());
  }
}

void check_stored_weights(const ModelContents& contents, double weights) {
  double stored = 0;
  for (const TensorView& tensor : contents.file.tensors()) stored += static_cast<double>(tensor.bytes);
  if (weights * static_cast<double>(kernels::precision_bytes(contents.metadata.precision)) > stored)
    fail("{}: damaged model: the tensors are smaller than the sizes in model require", contents.file.name());
}

Vocabulary stored_vocabulary(const SafetensorsFile& file, const char* name) {
  const TensorView* bytes = file.find(name);
  if (!bytes) fail("{}: damaged model: tensor {} is missing", file.name(), name);
  try {
    return Vocabulary::parse(bytes->text());
  } catch (const Error& error) {
    fail("{}: damaged model: tensor {}: {}", file.name(), name, error.what());
  }
}

void append_network(Network& network, NarrowTensors& narrow, std::vector<TensorView>& tensors) {
  std::set<const Parameter*> matrices;
  network.visit_matrices([&](Parameter& p) { matrices.insert(&p); });
  network.visit([&](Parameter& p) {
    if (matrices.count(&p) > 0)
      narrow.append(p.name, p.rows(), p.row_size(), p.value.data(), tensors);
    else
      tensors.push_back(float_tensor(p.name, p.shape, p.value.data()));
  });
}

void round_network(Network& network, kernels::Precision precision, ModelMetadata& metadata) {
  if (metadata.precision != kernels::Precision::kFloat32)
    fail("the model already has the precision {}; start from the float32 model",
         kernels::precision_name(metadata.precision));
  network.visit([](Parameter& p) {
    if (kernels::has_non_finite(p.value.data(), p.size())) fail("{} holds a value that is not finite", p.name);
  });
  network.visit_matrices([&](Parameter& p) { round_matrix(precision, p.rows(), p.row_size(), p.value.data()); });
  metadata.precision = precision;
}

Json samples_json(const std::vector<std::string>& texts, const std::vector<float>& values,
                  const std::vector<std::size_t>& lengths) {
  Json out = Json::array();
  auto begin = values.begin();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto end = begin + static_cast<std::ptrdiff_t>(lengths[i]);
    out.push_back({{"text", texts[i]}, {"probabilities", std::vector<float>(begin, end)}});
    begin = end;
  }
  return out;
}

std::vector<float> self_test_values(const ModelMetadata& metadata, std::vector<std::string>& texts) {
  if (metadata.self_test.empty()) throw Error("the model holds no samples to verify");
  std::vector<float> out;
  try {
    for (const Json& sample : metadata.self_test) {
      texts.push_back(sample.at("text").get<std::string>());
      if (find_invalid_utf8(texts.back())) throw Error("damaged model: a sample's text is not UTF-8");
      for (const Json& value : sample.at("probabilities")) out.push_back(value.get<float>());
    }
  } catch (const nlohmann::json::exception&) {
    throw Error("damaged model: a sample is not an object with text and probabilities");
  }
  return out;
}

double largest_difference(const std::vector<float>& now, const std::vector<float>& expected) {
  if (now.size() != expected.size()) throw Error("damaged model: the samples have another number of probabilities");
  double largest = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const double difference = std::abs(static_cast<double>(now[i]) - static_cast<double>(expected[i]));
    if (std::isnan(difference)) return INFINITY;
    largest = std::max(largest, difference);
  }
  return largest;
}

}  // namespace mnemo
