#include "checkpoint/model_file.h"

#include <cmath>

#include "base/error.h"
#include "config/tasks.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace mnemo;
using kernels::Precision;

namespace {

// The error for a matrix of two rows and three columns that is stored as these integers and scales.
std::string wrong_with(std::vector<std::int8_t> integers, std::vector<float> scales,
                       Precision precision = Precision::kInt8) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  std::vector<TensorView> tensors{{"m", DType::kI8, {2, 3}, integers.data(), integers.size()}};
  tensors.push_back(float_tensor("m.scale", {2}, scales.data()));
  write_safetensors(path, {}, std::move(tensors));
  std::vector<float> to(6);
  return load_matrix(SafetensorsFile::read(path), "m", {2, 3}, precision, to.data());
}

}  // namespace

TEST_CASE("matrices in lower precision come back as they were rounded") {
  const std::vector<float> values{0.5f, -1.25f, 3.0f, 0.0f, 1e-3f, -2e-3f};
  for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16Weights, Precision::kInt8}) {
    const TemporaryFolder folder;
    std::vector<TensorView> tensors;
    NarrowTensors narrow(precision);
    narrow.append("m", 2, 3, values.data(), tensors);
    write_safetensors(folder / "m.safetensors", {}, std::move(tensors));
    std::vector<float> rounded = values, read(6);
    round_matrix(precision, 2, 3, rounded.data());
    CHECK(load_matrix(SafetensorsFile::read(folder / "m.safetensors"), "m", {2, 3}, precision, read.data()).empty());
    CHECK(read == rounded);
    CHECK((rounded == values) == (precision == Precision::kFloat32));
  }
}

TEST_CASE("a matrix of integers is refused for invalid scales, integers out of range, or another precision") {
  const std::vector<std::int8_t> good{1, 2, 3, -127, 127, 0};
  CHECK(wrong_with(good, {0.5f, 0.0f}).empty());
  for (const float scale : {NAN, INFINITY, -1.0f, 3e38f})
    CHECK_THAT(wrong_with(good, {0.5f, scale}), contains_text("m.scale is"));
  CHECK_THAT(wrong_with({1, 2, 3, -128, 127, 0}, {1, 1}), contains_text("m holds -128"));
  for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16Weights})
    CHECK_THAT(wrong_with(good, {1, 1}, precision), contains_text("m is I8"));
}

TEST_CASE("a model of an unknown task is refused with the task's name and the program that made the model") {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  const auto refused = [&](const std::string& task) -> std::string {
    try {
      read_model(path, task);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  ModelMetadata m;
  m.task = "tag";
  write_model(path, m, {});
  CHECK(refused("").empty());
  CHECK(refused("tag").empty());
  // The same file as a later program would write it.
  auto metadata = SafetensorsFile::read(path).metadata();
  CHECK_THAT(metadata.at("producer"), contains_text("mnemo 0."));
  metadata["task"] = "parse";
  metadata["producer"] = "mnemo 0.9.0";
  write_safetensors(path, metadata, {});
  for (const char* task : {"", "tag", "classify"})
    CHECK(refused(task) == path + ": a model of the task \"parse\", made by mnemo 0.9.0; this program knows " +
                               TaskSet::all().names() + ": a newer mnemo is needed");
  metadata["task"] = "par\x1bse\n";
  write_safetensors(path, metadata, {});
  CHECK_THAT(refused(""), contains_text(R"("par\x1bse\n")"));
}
