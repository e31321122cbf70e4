// Splits of labelled texts.
#include "tasks/classify/data.h"

#include <map>

#include "tests/catch.h"

using namespace mnemo;

namespace {

// 300 texts: of 150 different ones a third each occurs once, twice and three times.
LabelledTexts some_texts() {
  LabelledTexts texts;
  texts.files.emplace_back();
  for (int i = 0; i < 150; ++i)
    for (int copy = 0; copy <= i % 3; ++copy) {
      texts.add({i % 2 ? "odd" : "even"}, "text " + std::to_string(i), 0, 1);
    }
  texts.finish();
  return texts;
}

}  // namespace

TEST_CASE("a split keeps equal texts on one side, has the requested shares, and depends on its seed") {
  const LabelledTexts texts = some_texts();
  const auto parts = split_by_text(texts, {0.8, 0.1, 0.1}, 7);
  REQUIRE(std::ssize(parts) == texts.size());
  std::map<std::string, int> side;
  std::map<int, int> sizes;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CHECK(side.emplace(texts.text(static_cast<std::int64_t>(i)), parts[i]).first->second == parts[i]);
    ++sizes[parts[i]];
  }
  // A group of three at a boundary moves it by at most two.
  CHECK(std::abs(sizes[0] - 240) <= 3);
  CHECK(std::abs(sizes[1] - 30) <= 3);
  CHECK(sizes[0] + sizes[1] + sizes[2] == 300);
  CHECK(split_by_text(texts, {0.8, 0.1, 0.1}, 7) == parts);
  CHECK(split_by_text(texts, {0.8, 0.1, 0.1}, 8) != parts);

  CHECK(part_of(texts, parts, 1, true)->size() == sizes[1]);
  CHECK(part_of(texts, parts, 1, false)->size() == sizes[0] + sizes[2]);
}
