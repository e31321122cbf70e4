// Data that can be read only once, and data that change.
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "config/options.h"
#include "tasks/classify/data.h"
#include "tasks/generate/data.h"
#include "tasks/tag/data.h"
#include "tasks/tag/training.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {

Json files_json(const Dataset& data) { return data_provenance(data, data)["train"]; }

// Named pipes, each of which is written once, in order.
class Pipes {
 public:
  void add(const std::string& path, const std::string& text) {
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    all_.emplace_back(path, text);
  }
  void start() {
    writer_ = std::thread([this] {
      for (const auto& [path, text] : all_) std::ofstream(path, std::ios::binary) << text;
    });
  }
  ~Pipes() {
    if (writer_.joinable()) writer_.join();
  }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
  std::thread writer_;
};

std::vector<std::int32_t> ids_of(const UnitText& text) {
  std::vector<std::int32_t> out(static_cast<std::size_t>(text.units.size()));
  text.units.read(0, out);
  return out;
}

Config config_of(const std::string& train, const std::string& more = "") {
  return parse_config(R"({"task": "generate", "data": {"train": )" + train + more + "}}", "c.json", {});
}

const std::string kFirst = "春眠不觉晓\nab\n", kSecond = "cdcdcdcdcd\nab\ncd\nxyz\n";

}  // namespace

TEST_CASE("a language model's data are the same from pipes and from files, one of them or all") {
  TemporaryFolder folder;
  write_file(folder / "a", kFirst);
  write_file(folder / "b", kSecond);
  const auto load = [&](const std::string& first, const std::string& second, const std::string& more) {
    const std::string names = "[\"" + folder / first + "\",\"" + folder / second + "\"]";
    return read_language_data(config_of(names, more), {});
  };
  for (const std::string more : {R"(, "dev_fraction": 0.4)", R"(, "dev_fraction": 0)", R"(, "records": true)"}) {
    const auto files = load("a", "b", more);
    CHECK(files->train_text().measured + files->dev_text().measured == 30);
    for (const bool both : {false, true}) {
      TemporaryFolder pipes_folder;
      Pipes pipes;
      const std::string first = "p" + std::to_string(both), second = "q" + std::to_string(both);
      std::filesystem::remove(folder / first);
      std::filesystem::remove(folder / second);
      if (both) pipes.add(folder / first, kFirst);
      pipes.add(folder / second, kSecond);
      pipes.start();
      const auto piped = load(both ? first : "a", second, more);
      CHECK(ids_of(piped->train_text()) == ids_of(files->train_text()));
      CHECK(ids_of(piped->dev_text()) == ids_of(files->dev_text()));
      CHECK(piped->vocabulary.serialize() == files->vocabulary.serialize());
      CHECK(files_json(*piped->train) == files_json(*files->train));
      CHECK(piped->train->files[1].read.bytes == std::ssize(kSecond));
    }
  }
}

TEST_CASE("the units of a stream are those that its vocabulary knows, the last ones held out for dev") {
  TemporaryFolder folder;
  write_file(folder / "t", "aab\nbac\n");
  const auto data = read_language_data(config_of("\"" + folder / "t" + "\"", R"(, "dev_fraction": 0.25)"), {});
  // a three times, b twice, the line end once; c is only in dev.
  CHECK(data->vocabulary.size() == 4);
  CHECK(ids_of(data->train_text()) == std::vector<std::int32_t>{1, 1, 2, 3, 2, 1});
  CHECK(ids_of(data->dev_text()) == std::vector<std::int32_t>{0, 3});
  CHECK(data->dev_text().unknown == 1);
  CHECK(data->train->files[0].records == 2);
}

TEST_CASE("texts and sentences from a pipe have its bytes and hash") {
  TemporaryFolder folder;
  const std::string texts = "a\tone\nb\ttwo\n", rows = "Ada B-PER\nsaw O\n\n";
  write_file(folder / "t", texts);
  write_file(folder / "r", rows);
  Pipes pipes;
  pipes.add(folder / "tp", texts);
  pipes.add(folder / "rp", rows);
  pipes.start();
  const auto named = [&](const std::string& name) {
    std::vector<DataFile> out(1);
    out[0].file = folder / name;
    return out;
  };
  const auto read = [&](const std::string& name) { return files_json(read_texts(named(name), {}, {}, "train")); };
  CHECK(read("tp") == read("t"));
  CHECK(read("t")[0]["bytes"] == texts.size());
  const Config config = parse_config(R"({"task": "tag", "data": {"train": "x"}})", "c.json", {});
  const auto read_rows = [&](const std::string& name) {
    return files_json(read_sentences(named(name), config, {}, "train"));
  };
  CHECK(read_rows("rp") == read_rows("r"));
  CHECK(read_rows("r")[0]["fnv1a64"] != "cbf29ce484222325");
}

TEST_CASE("a text that two models read is read once, and must not change in between") {
  TemporaryFolder folder;
  write_file(folder / "t", kFirst);
  const auto data = read_language_data(config_of("\"" + folder / "t" + "\"", R"(, "dev_fraction": 0)"), {});
  const TextLanguageModel model(config_of("\"t\""), data->vocabulary);
  Pipes pipes;
  pipes.add(folder / "p", kFirst);
  pipes.start();
  SharedText piped(folder / "p"), file(folder / "t");
  const auto log = [](const std::string&) {};
  for (int i = 0; i < 2; ++i) {
    CHECK(ids_of(piped.units(model, {}, log)) == ids_of(data->train_text()));
    CHECK(ids_of(file.units(model, {}, log)) == ids_of(data->train_text()));
  }
  write_file(folder / "t", kSecond);
  CHECK_THROWS_WITH(file.units(model, {}, log), contains_text("t: changed between two readings"));
}
