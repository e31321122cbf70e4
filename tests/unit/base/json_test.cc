#include "base/json.h"

#include <cstdlib>
#include <new>
#include <string>

#include "tests/catch.h"

using mnemo::Json;
using mnemo::JsonError;
using mnemo::parse_json;

namespace {

std::string reason(const std::string& text, const mnemo::JsonLimits& limits = {}) {
  try {
    parse_json(text, limits);
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

std::string repeated(const std::string& piece, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += piece;
  return out;
}

}  // namespace

TEST_CASE("json: values are those of the library's own parser") {
  for (const char* text : {"null", "true", "-7", "18446744073709551615", "0.1", "1e-7", R"("a\u00e9\n")", "[]", "{}",
                           "[[],{}]", R"({"b": [1, "x", null, {"c": {}}], "a": {"b": false}, "": [[[0.5]]]})"})
    CHECK(parse_json(text) == Json::parse(text));
  CHECK(parse_json(R"({"b": 1, "a": 2})").dump() == R"({"b":1,"a":2})");
}

TEST_CASE("json: refusals are reported without the library's prefix and place") {
  const auto offset = [](const std::string& text) -> std::optional<std::size_t> {
    try {
      parse_json(text);
    } catch (const JsonError& error) {
      return error.offset();
    }
    return std::nullopt;
  };
  CHECK(reason(R"({"a": x})").starts_with("syntax error while parsing value - invalid literal"));
  CHECK(offset(R"({"a": x})") == 6u);
  CHECK(reason("1e999") == "number overflow parsing '1e999'");
  CHECK(reason(std::string("{}\0x", 4)) == "a NUL byte");
  CHECK(offset(std::string("{}\0x", 4)) == 2u);
  CHECK(reason("\"" + std::string(1000000, 'a')).size() < 200);
  CHECK(reason(R"({"a": {"b": 1, "b": 2}})") == R"(key "b" is given twice in one object)");
  CHECK_FALSE(offset(R"({"a": 1, "a": 2})"));
  std::string many = "{";
  for (int i = 0; i < 20; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  CHECK(reason(many + "\"k\":1}").empty());
  CHECK(reason(many + "\"k13\":1}") == R"(key "k13" is given twice in one object)");
  CHECK(reason(std::string(64, '[') + std::string(64, ']')).empty());
  CHECK(reason(std::string(65, '[') + std::string(65, ']')) == "JSON nested deeper than 64 levels");
  CHECK(reason(std::string(300000, '[')) == "JSON nested deeper than 64 levels");
  CHECK(reason("[1,[2],{\"a\":3}]", {.values = 6}).empty());
  CHECK(reason("[1,[2],{\"a\":3}]", {.values = 5}) == "JSON with more than 5 values");
}

TEST_CASE("json: time is linear in the number of values, in lists, in keys and in deeply nested values") {
  // Were it quadratic, each would take a hundred times as long, and the runner would end the test.
  CHECK(mnemo::JsonDocument(parse_json("[" + repeated("{},", 700000) + "{}]"))->size() == 700001);
  std::string keys = "{";
  for (int i = 0; i < 150000; ++i) keys += "\"" + std::to_string(i) + "\":[],";
  CHECK(mnemo::JsonDocument(parse_json(keys + "\"x\":0}"))->size() == 150001);
  std::string deep = "[" + repeated("1,", 500000) + "1]";
  for (int i = 0; i < 60; ++i) deep = "{\"a\":" + std::move(deep) + ",\"b\":0,\"c\":0}";
  CHECK(mnemo::JsonDocument(parse_json(deep))->size() == 3);
}

TEST_CASE("json: the items of an array come one by one") {
  std::vector<std::string> items;
  const auto take = [&](const Json& item) { items.push_back(item.dump()); };
  mnemo::parse_json_items(R"( [1, {"a": [2, 3]}, [], "x"] )", take);
  CHECK(items == std::vector<std::string>{"1", R"({"a":[2,3]})", "[]", R"("x")"});
  items.clear();
  mnemo::parse_json_items("[]", take);
  CHECK(items.empty());
  mnemo::parse_json_items("[[1,2],[3,4],[5,6]]", take, {.values = 3});
  CHECK(items.size() == 3);
  items.clear();
  CHECK_THROWS_AS(mnemo::parse_json_items("[1, 2, x]", take), JsonError);
  CHECK(items.size() == 2);
  for (const char* text : {"{}", "3", "[", ""}) CHECK_THROWS_AS(mnemo::parse_json_items(text, take), JsonError);
}
