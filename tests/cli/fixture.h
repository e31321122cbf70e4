// A tiny labelled set and a model trained on it once for all tests of this program.
#pragma once

#include <memory>

#include "tests/cli/program.h"
#include "tests/temporary_folder.h"

/// Forty labelled lines that eight words distinguish.
inline std::string tiny_data() {
  const std::vector<std::string> good{"fine", "lovely", "superb", "warm"}, bad{"dull", "awful", "stale", "cold"};
  const std::vector<std::string> nouns{"film", "soup", "room", "song", "walk"};
  std::string text;
  for (const auto& noun : nouns)
    for (int i = 0; i < 4; ++i) {
      text += "pos\ta " + good[i] + " " + noun + "\n";
      text += "neg\tthis " + bad[i] + " " + noun + " again\n";
    }
  return text;
}

inline const char* tiny_config() {
  return R"({"data": {"train": "train.tsv", "dev": "dev.tsv"},
 "text": {"ngrams": {"char_min": 0, "char_max": 0}},
 "model": {"embedding": 8, "hidden": 6, "dropout": 0.1, "embedding_dropout": 0.1},
 "training": {"epochs": 12, "batch_size": 8, "learning_rate": 0.02, "clip_norm": 5}})";
}

class Fixture {
 public:
  Fixture() {
    write_text(path("train.tsv"), tiny_data());
    write_text(path("dev.tsv"),
               "pos\ta fine song\nneg\tthis dull room again\npos\ta warm soup\nneg\tthis cold film again\n");
    write_text(path("c.json"), tiny_config());
  }
  std::string path(const std::string& name) const { return folder_ / name; }
  const std::string& folder() const { return folder_.path(); }

  Outcome mnemo(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return run(arguments, folder(), input);
  }
  Outcome train(const std::string& output, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"train", path("c.json"), "--set", "output.dir=" + path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mnemo(arguments);
  }
  std::string bytes(const std::string& name) const { return Process::text(path(name)); }

 private:
  TemporaryFolder folder_;
};

/// The fixture with a trained model in `run`.
inline const Fixture& trained() {
  static const std::unique_ptr<const Fixture> fixture = [] {
    auto made = std::make_unique<Fixture>();
    const Outcome outcome = made->train("run");
    if (outcome.code != 0) throw std::runtime_error("training the tiny model: " + outcome.err);
    return made;
  }();
  return *fixture;
}
