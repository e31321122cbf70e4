#include "tasks/label_list.h"

#include "tests/catch.h"

using namespace mnemo;

TEST_CASE("a label that would be ambiguous beside others is shown in quotes") {
  for (const char* plain : {"neg", "B-PER", "+1", "tr\u00e8s", "\u597d", "\u2014", "a.b:c"})
    CHECK(shown_label(plain) == plain);
  for (const char* label : {"New York", " neg", "neg ", "a,b", "", "a\u00a0b", "a\u3000b", "a\u2003b", "a\u202fb"})
    CHECK(shown_label(label) == "\"" + std::string(label) + "\"");
  CHECK(shown_label("say \"no\"") == R"("say \"no\"")");
  CHECK(shown_label("a\tb") == "a\\tb");
  CHECK(shown_label(std::string(100, 'x')) == std::string(80, 'x') + "...");
}
