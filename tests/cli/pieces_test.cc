// training.bptt of classifiers: long texts in pieces.
#include "tests/cli/fixture.h"

namespace {

// The trained model's answers for all texts of train.
std::string answers_in_pieces(const Fixture& f, const std::string& name, std::vector<std::string> more) {
  more.insert(more.end(),
              {"--set", "model.bidirectional=false", "--set", "model.pooling=[\"max\", \"last\", \"mean\"]"});
  const Outcome o = f.train(name, more);
  INFO(o.err);
  REQUIRE(o.code == 0);
  const std::string model = f.path(name + "/model.safetensors");
  CHECK(f.mnemo({"inspect", model, "--verify"}).code == 0);
  return f.mnemo({"classify", model, "-k", "2", "-f", "jsonl", f.path("train.tsv")}).out;
}

}  // namespace

TEST_CASE("training.bptt: a classifier learns from texts in pieces, alike for any number of threads") {
  const Fixture f;
  const std::string whole = answers_in_pieces(f, "whole", {});
  CHECK(answers_in_pieces(f, "long", {"--set", "training.bptt=4"}) == whole);
  const std::string pieces = answers_in_pieces(f, "pieces", {"--set", "training.bptt=2"});
  CHECK(pieces != whole);
  answers_in_pieces(f, "threads", {"--set", "training.bptt=2", "--threads", "3"});
  CHECK(f.bytes("threads/model.safetensors") == f.bytes("pieces/model.safetensors"));
  answers_in_pieces(f, "shards", {"--set", "training.bptt=2", "--set", "training.shards=2"});
  CHECK_THAT(f.mnemo({"evaluate", f.path("pieces/model.safetensors"), f.path("dev.tsv")}).out,
             contains_text("accuracy 1.0000"));
  CHECK(f.mnemo({"inspect", f.path("pieces/model.safetensors"), f.path("train.tsv"), "--gradient-flow"}).code == 0);
  CHECK(f.bytes("whole/model.safetensors").find("bptt") == std::string::npos);
}

TEST_CASE("training.bptt: what cannot be read in pieces is refused") {
  const Fixture f;
  const auto check = [&](std::vector<std::string> more, const std::string& message) {
    more.insert(more.begin(), {"config", "check", f.path("c.json")});
    check_fails(f.mnemo(more), 2, message);
  };
  const std::string only = "training.bptt: texts are read in pieces only without ";
  check({"--set", "training.bptt=50"}, only + "model.bidirectional");
  const std::vector<std::string> one_way{"--set", "training.bptt=50", "--set", "model.bidirectional=false"};
  for (const auto& [value, what] : {std::pair{"model.pooling=attention", "model.pooling attention"},
                                    {"model.convolution.widths=[3]", "model.convolution"},
                                    {"model.self_attention.layer=1", "model.self_attention"}}) {
    std::vector<std::string> arguments = one_way;
    arguments.insert(arguments.end(), {"--set", value});
    check(arguments, only + what);
  }
  check({"--set", "task=generate", "--set", "training.bptt=0"}, "training.bptt: expected at least 1 step, found 0");
}
