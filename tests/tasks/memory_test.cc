// Data that lie in a file because they exceed training.memory: a run has the bytes that it has from memory.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "tests/catch.h"
#include "tests/tasks/rows.h"

using namespace mnemo;

namespace {

using Arguments = std::vector<std::string>;

// In all memory that is needed, and beyond it: from the first byte, and from some byte in the middle.
const std::vector<std::string> kMemory{"training.memory=1000", "training.memory=0", "training.memory=0.0004"};

// A file of a run without what a clock or the machine says.
std::string content_of(const std::string& file) {
  if (file.ends_with("report.html")) return "";  // made from the log
  if (file.ends_with("resume.safetensors")) {
    std::string out;
    const SafetensorsFile state = SafetensorsFile::read(file);
    for (const TensorView& tensor : state.tensors())
      out.append(tensor.name).append(static_cast<const char*>(tensor.data), tensor.bytes);
    return out;
  }
  const std::string bytes = read_file(file);
  if (!file.ends_with("log.jsonl")) return bytes;
  std::string out;
  std::istringstream lines(bytes);
  for (std::string line; std::getline(lines, line);) {
    Json object = parse_json(line);
    for (const char* key : {"tokens_per_s", "peak_mb", "seconds"}) object.erase(key);
    out += object.dump() + "\n";
  }
  return out;
}

// The files of a run's folder.
std::map<std::string, std::string> files_of(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder))
    if (file.is_regular_file()) out[file.path().string().substr(folder.size())] = content_of(file.path().string());
  return out;
}

// The names of files that differ, or that only one run has.
std::string differing(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  std::string out;
  for (const auto& [one, other] : {std::pair{&a, &b}, {&b, &a}})
    for (const auto& [name, bytes] : *one)
      if (const auto match = other->find(name); match == other->end() || match->second != bytes) out += name + " ";
  return out;
}

Arguments settings(const std::vector<std::string>& values) {
  Arguments out{"--set", "training.epochs=3"};
  for (const std::string& value : values) {
    if (!value.starts_with("--")) out.emplace_back("--set");
    if (value.starts_with("--folds")) {
      out.emplace_back("--folds");
      out.emplace_back("2");
    } else {
      out.push_back(value);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("data beyond training.memory train to the same bytes, with any number of threads") {
  const std::vector<std::vector<std::string>> variants{
      {},
      {"training.shards=2"},
      {"data.dev=[]", "data.dev_fraction=0.3"},
      {"text.unit=char"},
      {"text.unit=subword", "text.merges=20", "text.merge_dropout=0.4"},
      {"training.batch_tokens=9", R"(data.train=["data", "packed"])"},
      {"--folds", "data.dev=[]", "data.dev_fraction=0.3"}};
  for (const TaskRow& row : task_rows()) {
    if (!row.stores) continue;
    TaskBench b(row);
    REQUIRE(std::system(("gzip -nc '" + b.path("data") + "' > '" + b.path("packed") + "'").c_str()) == 0);
    int number = 0;
    for (const auto& variant : variants) {
      std::map<std::string, std::string> expected;
      for (const std::string& memory : kMemory)
        for (const char* threads : {"1", "3"}) {
          Arguments more = settings(variant);
          more.insert(more.end(), {"--set", memory, "--threads", threads});
          const std::string folder = "run-" + std::to_string(number++);
          const Outcome o = b.train(folder, more);
          INFO(row.task << " " << memory << " " << threads << " " << Json(variant).dump() << " " << o.err);
          REQUIRE(o.code == 0);
          const auto found = files_of(b.path(folder));
          if (expected.empty()) expected = found;
          CHECK(found.contains("/model.safetensors") != found.contains("/fold-2/model.safetensors"));
          CHECK(differing(found, expected) == "");
        }
    }
  }
}

TEST_CASE("a trial run says the same of data beyond training.memory, and leaves no file") {
  for (const TaskRow& row : task_rows()) {
    if (!row.stores) continue;
    TaskBench b(row);
    write_text(b.path("data"), row.data + row.data);
    std::string expected;
    for (const std::string& memory : kMemory)
      for (const char* threads : {"1", "3"}) {
        const Outcome o = b.train("none", {"--dry-run", "--set", memory, "--threads", threads});
        INFO(row.task << " " << o.err);
        REQUIRE(o.code == 0);
        const std::string said = std::regex_replace(o.out, std::regex("estimated: .*"), "");
        CHECK_THAT(said, contains_text(row.lengths));
        CHECK_THAT(said, contains_text("repeated in train: 8 "));
        CHECK_THAT(said, contains_text(" that occur in train: "));
        if (expected.empty()) expected = said;
        CHECK(said == expected);
        CHECK(!std::filesystem::exists(b.path("none")));
        for (const auto& file : std::filesystem::directory_iterator(b.path("")))
          CHECK(!file.path().filename().string().starts_with("records"));
      }
  }
}

TEST_CASE("a run beyond training.memory that was killed is resumed to the bytes of one in memory") {
  for (const TaskRow& row : task_rows()) {
    if (!row.stores) continue;
    INFO(row.task);
    TaskBench b(row);
    const std::string expected = read_file(b.trained());
    Arguments arguments{"train", b.path("c.json"),   "--threads", "2", "--set", "output.dir=" + b.path("killed"),
                        "--set", "training.memory=0"};
    Process process(arguments, b.path(""));
    for (int i = 0; i < 2000 && !file_exists(b.path("killed/resume.safetensors")); ++i) usleep(1000);
    process.send(SIGKILL);
    process.wait();
    for (const auto& file : std::filesystem::directory_iterator(b.path("killed")))
      CHECK(!file.path().filename().string().starts_with("records"));
    arguments.emplace_back("--resume");
    const Outcome o = b.mnemo(arguments);
    INFO(o.err);
    CHECK(o.code == 0);
    CHECK((read_file(b.path("killed/model.safetensors")) == expected));
  }
}
