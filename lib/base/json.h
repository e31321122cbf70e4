// JSON values, and reading them from outside.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json_fwd.h"

namespace mnemo {

/// Objects and lists inside each other, at the most: printing and freeing a value take stack for each level.
inline constexpr int kMaxJsonDepth = 64;
/// Values of one document, at the most: each takes up to thirty times the memory of its text.
inline constexpr std::size_t kMaxJsonValues = 2'000'000;

struct JsonLimits {
  int depth = kMaxJsonDepth;
  std::size_t values = kMaxJsonValues;
};

/// Why a text is not read as JSON, without the text's name.
class JsonError : public Error {
 public:
  JsonError(const std::string& reason, std::optional<std::size_t> offset) : Error(reason), offset_(offset) {}
  /// The byte, from 0, of what is no JSON; nothing where the text is, but is refused: a key given twice, too deep or
  /// too many values.
  std::optional<std::size_t> offset() const { return offset_; }

 private:
  std::optional<std::size_t> offset_;
};

/// Throws JsonError for a text that is no JSON, has a key twice in one object, or is beyond the limits. Time is linear
/// in the text's length.
Json parse_json(std::string_view text, const JsonLimits& limits = {});

/// Parses an array and gives its items one by one, so that only one is in memory. The limit of values is that of an
/// item. Throws JsonError as `parse_json` does, and for a document that is no array; items before the fault were given.
void parse_json_items(std::string_view text, const std::function<void(Json item)>& use, const JsonLimits& limits = {});

/// What the library says of an error, without its own name and without the place.
std::string json_reason(const Json::exception& error);

/// A value's type with its article: "a number", "an array", "null".
std::string described_type(const Json& value);

/// Leaves null, and needs no memory for it. The library's own destructor does (it gathers all values in a list), and
/// ends the program where there is none left.
void release_json(Json& value) noexcept;

/// A value that may be large, and that is freed by `release_json`.
class JsonDocument {
 public:
  explicit JsonDocument(Json value) noexcept : value_(std::move(value)) {}
  JsonDocument(JsonDocument&&) noexcept = default;
  JsonDocument& operator=(JsonDocument&&) = delete;
  ~JsonDocument() { release_json(value_); }

  Json& operator*() { return value_; }
  const Json& operator*() const { return value_; }
  Json* operator->() { return &value_; }
  const Json* operator->() const { return &value_; }

 private:
  Json value_;
};

}  // namespace mnemo

// What is instantiated once, in json.cc, is not compiled again wherever JSON is used.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;
