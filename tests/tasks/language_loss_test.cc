// A tagger that is trained with model.language_loss, in what the suite does not see.
#include <set>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "tests/catch.h"
#include "tests/tasks/rows.h"

using namespace mnemo;

namespace {

std::set<std::string> tensor_names(const std::string& path) {
  std::set<std::string> out;
  const auto file = SafetensorsFile::read(path);
  for (const TensorView& tensor : file.tensors()) out.insert(tensor.name);
  return out;
}

// The lines of training of a log.
std::vector<Json> train_lines(const std::string& folder) {
  std::vector<Json> out;
  std::istringstream stream(read_file(log_path(folder)));
  for (std::string line; std::getline(stream, line);)
    if (const Json json = parse_json(line); json.at("kind") == "train") out.push_back(json);
  return out;
}

}  // namespace

TEST_CASE("model.language_loss: its weights are in the state of a run, not in the model, and the log shows the loss") {
  const TaskRow row = task_rows_and_variants().at(4);
  const TaskBench bench(row);
  REQUIRE(bench.train("with").code == 0);
  REQUIRE(bench.train("without", {"--set", "model.language_loss=0"}).code == 0);
  CHECK(tensor_names(bench.path("with/model.safetensors")) == tensor_names(bench.path("without/model.safetensors")));
  CHECK(read_file(bench.path("with/model.safetensors")) != read_file(bench.path("without/model.safetensors")));
  const auto state = tensor_names(bench.path("with/resume.safetensors"));
  for (const char* name : {"language_loss.forward.hidden.weight", "language_loss.backward.output.bias"}) {
    CHECK(state.contains(name));
    CHECK(state.contains(std::string("m.") + name));
  }
  CHECK_FALSE(tensor_names(bench.path("without/resume.safetensors")).contains("language_loss.forward.hidden.weight"));
  const std::vector<Json> lines = train_lines(bench.path("with"));
  const double first = lines.front().at("language_loss").get<double>(),
               last = lines.back().at("language_loss").get<double>();
  CHECK(last < 0.5 * first);
  CHECK(lines.front().at("loss").get<double>() > 0.1 * first);
  CHECK_FALSE(train_lines(bench.path("without")).front().contains("language_loss"));
}

TEST_CASE("model.language_loss: a weight of 0 trains to the bytes of a configuration without the key") {
  TaskRow row = task_rows().at(1);
  const TaskBench bench(row);
  REQUIRE(bench.train("plain").code == 0);
  REQUIRE(bench.train("zero", {"--set", "model.language_loss=0"}).code == 0);
  CHECK(read_file(bench.path("plain/model.safetensors")) == read_file(bench.path("zero/model.safetensors")));
  const Outcome refused = bench.train("refused", {"--set", "model.language_loss=0.1"});
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, contains_text("model.language_loss: not with model.convolution.place before"));
  const Outcome bigrams = bench.train("refused", {"--set", "model.language_loss=0.1", "--set", "text.ngrams.unit=2"});
  CHECK_THAT(bigrams.err, contains_text("text.ngrams.unit is 2; set it to 1"));
}
