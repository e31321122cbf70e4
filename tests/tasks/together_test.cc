// Several processes, as threads, that train one model of each task.
#include <cmath>
#include <thread>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "parallel/thread_transport.h"
#include "tests/catch.h"
#include "tests/tasks/rows.h"
#include "train/sharded_step.h"

using namespace mnemo;

namespace {

Config short_config(const TaskBench& bench, std::int64_t shards) {
  Config config = bench.config();
  config.training.shards = shards;
  config.training.epochs = 5;
  return config;
}

// Trains in a folder of the bench, as one process of several or alone; returns the message of an error.
std::string train_one(const TaskBench& bench, const Config& config, const std::string& folder, int threads,
                      Transport* transport, bool resume) {
  try {
    ThreadPool pool(threads);
    const auto data = bench.read();
    const auto model = bench.task.build(config, bench.request(), *data, nullptr);
    TrainerOptions options;
    options.folder = bench.path(folder);
    options.transport = transport;
    options.resume = resume;
    train_model(bench.task, config, *data, *model, options, pool);
    return "";
  } catch (const std::exception& error) {
    if (transport && transport->awaited) transport->end_all(1);
    return error.what();
  }
}

std::vector<std::string> train_together(const TaskBench& bench, const std::vector<Config>& configs,
                                        const std::string& folder, int threads, bool resume = false) {
  auto ends = connected_threads(static_cast<int>(configs.size()));
  std::vector<std::string> errors(configs.size());
  std::vector<std::thread> running;
  for (std::size_t r = 0; r < configs.size(); ++r)
    running.emplace_back([&, r] { errors[r] = train_one(bench, configs[r], folder, threads, ends[r].get(), resume); });
  for (std::thread& thread : running) thread.join();
  return errors;
}

void check_same_files(const std::string& one, const std::string& other) {
  CHECK(read_file(model_path(one)) == read_file(model_path(other)));
  const auto a = SafetensorsFile::read(resume_path(one)), b = SafetensorsFile::read(resume_path(other));
  REQUIRE(a.tensors().size() == b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const TensorView &x = a.tensors()[i], &y = b.tensors()[i];
    INFO(x.name);
    CHECK(x.name == y.name);
    REQUIRE(x.bytes == y.bytes);
    CHECK(std::memcmp(x.data, y.data, x.bytes) == 0);
  }
}

// The first line of the log: means over the first epoch.
Json first_line(const std::string& folder) {
  const std::string text = read_file(log_path(folder));
  return parse_json(text.substr(0, text.find('\n')));
}

}  // namespace

TEST_CASE("any number of processes and threads trains to the same bytes") {
  for (const TaskRow& row : task_rows_and_variants()) {
    const TaskBench bench(row);
    for (const std::int64_t shards : {4, 5}) {
      const Config config = short_config(bench, shards);
      const std::string alone = std::to_string(shards) + "-alone";
      REQUIRE(train_one(bench, config, alone, 2, nullptr, false) == "");
      for (const int ranks : {1, 2, 3, 4}) {
        const std::string folder = std::to_string(shards) + "-" + std::to_string(ranks);
        INFO(row.task << " " << folder);
        const std::vector<Config> configs(static_cast<std::size_t>(ranks), config);
        REQUIRE(train_together(bench, configs, folder, 1 + ranks % 2) == std::vector<std::string>(configs.size()));
        check_same_files(bench.path(alone), bench.path(folder));
      }
    }
  }
}

TEST_CASE("gradients that are sent as bfloat16 give the same bytes for any number of processes") {
  for (const TaskRow& row : task_rows_and_variants()) {
    const TaskBench bench(row);
    INFO(row.task);
    Config config = short_config(bench, 5);
    REQUIRE(train_one(bench, config, "float", 1, nullptr, false) == "");
    config.training.exchange = "bfloat16";
    REQUIRE(train_one(bench, config, "alone", 1, nullptr, false) == "");
    CHECK(read_file(model_path(bench.path("alone"))) != read_file(model_path(bench.path("float"))));
    CHECK(first_line(bench.path("alone")).at("loss").get<double>() ==
          Approx(first_line(bench.path("float")).at("loss").get<double>()).epsilon(0.05));
    for (const int ranks : {2, 3, 5}) {
      const std::string folder = std::to_string(ranks);
      const std::vector<Config> configs(static_cast<std::size_t>(ranks), config);
      REQUIRE(train_together(bench, configs, folder, 1 + ranks % 2) == std::vector<std::string>(configs.size()));
      check_same_files(bench.path("alone"), bench.path(folder));
    }
  }
}

TEST_CASE("shards add up to the gradient of the whole batch") {
  for (TaskRow row : task_rows_and_variants()) {
    const TaskBench bench(row);
    INFO(row.task);
    for (const std::int64_t shards : {1, 3}) {
      Config config = short_config(bench, shards);
      config.model.word_dropout = config.model.singleton_dropout = config.model.unit_dropout = 0;
      config.model.weight_dropout = config.model.layer_dropout = 0;
      config.model.source_dropout = config.model.target_dropout = 0;
      config.training.sampled_softmax = 0;
      config.training.optimizer = "sgd";
      if (row.task == std::string("generate")) config.training.batch_size = 4;
      REQUIRE(train_one(bench, config, std::to_string(shards), 1, nullptr, false) == "");
    }
    const Json whole = first_line(bench.path("1")), dealt = first_line(bench.path("3"));
    for (const char* key : {"loss", "grad_norm", "language_loss"})
      if (whole.contains(key)) CHECK(dealt.at(key).get<double>() == Approx(whole.at(key).get<double>()).epsilon(1e-4));
    CHECK(whole.at("step") == dealt.at("step"));
  }
}

TEST_CASE("a run goes on with another number of processes to the same bytes") {
  const TaskRow row = task_rows().at(2);
  const TaskBench bench(row);
  Config config = short_config(bench, 5);
  config.training.batch_size = 5;
  REQUIRE(train_one(bench, config, "whole", 1, nullptr, false) == "");
  Config half = config;
  half.training.epochs = 2;
  half.training.schedule = config.training.schedule = "constant";
  REQUIRE(train_one(bench, config, "whole", 1, nullptr, false) == "");
  REQUIRE(train_together(bench, {half, half, half}, "cut", 1) == std::vector<std::string>(3));
  REQUIRE(train_together(bench, {config, config}, "cut", 2, true) == std::vector<std::string>(2));
  check_same_files(bench.path("whole"), bench.path("cut"));
}

TEST_CASE("processes with other configurations or too many of them are refused by all") {
  const TaskRow row = task_rows().front();
  const TaskBench bench(row);
  const Config config = short_config(bench, 3);
  Config other = config;
  other.training.seed = 4;
  for (const std::string& error : train_together(bench, {config, config, other}, "mixed", 1))
    CHECK_THAT(error, contains_text("process 2 has training.seed 4, process 0 has training.seed 3"));
  for (const std::string& error : train_together(bench, {config, config, config, config}, "many", 1))
    CHECK_THAT(error, contains_text("training.shards is 3, expected at least the number of processes, 4"));
  CHECK_FALSE(file_exists(model_path(bench.path("mixed"))));
}

TEST_CASE("process 0 alone writes, and others learn that it could not") {
  const TaskRow row = task_rows().front();
  const TaskBench bench(row);
  const Config config = short_config(bench, 2);
  make_folders(bench.path("run/model.safetensors"));  // so that no file can have the name
  const auto errors = train_together(bench, {config, config}, "run", 1);
  CHECK_THAT(errors[0], contains_text("model.safetensors"));
  CHECK(errors[1] == "process 0 is lost");
}

TEST_CASE("the bytes that a process sends are those of the formula") {
  const TaskRow row = task_rows().at(2);
  const TaskBench bench(row);
  for (const auto& [shards, exchange] : {std::pair{4, "float32"}, {7, "float32"}, {7, "bfloat16"}}) {
    Config config = short_config(bench, shards);
    config.training.exchange = exchange;
    config.model.hidden = 150;
    // The moments, which are sent when the run is saved, are not part of a step.
    config.training.epochs = 150;
    config.training.save_every = {150, Every::Unit::kEpochs};
    config.training.batch_size = shards;
    config.training.evaluate_every = {150, Every::Unit::kEpochs};
    constexpr int kRanks = 3;
    auto ends = connected_threads(kRanks);
    std::vector<std::thread> running;
    for (const auto& end : ends) running.emplace_back([&] { train_one(bench, config, "bytes", 1, end.get(), false); });
    for (std::thread& thread : running) thread.join();
    const auto steps = static_cast<double>(first_line(bench.path("bytes")).at("step").get<std::int64_t>()) * 150;
    const auto data = bench.read();
    const auto model = bench.task.build(config, bench.request(), *data, nullptr);
    const Optimizer optimizer({}, [&](const ParameterVisitor& v) { model->network().visit(v); });
    const auto tiles = tile_sizes(optimizer.dense_pieces(), kRanks);
    CHECK(*std::ranges::min_element(tiles) > 0);
    for (int r = 0; r < kRanks; ++r) {
      const auto sent = static_cast<double>(ends[static_cast<std::size_t>(r)]->bytes_sent());
      CHECK(sent == Approx(steps * static_cast<double>(dense_bytes_sent(r, config.training, tiles))).epsilon(0.02));
    }
  }
}
