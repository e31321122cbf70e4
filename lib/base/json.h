// JSON values, and reading untrusted ones.
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

/// Deepest nesting of objects and lists: printing and freeing a value take stack for each level.
inline constexpr int kMaxJsonDepth = 64;
/// Most values of one document: each takes up to thirty times the memory of its text.
inline constexpr std::size_t kMaxJsonValues = 2'000'000;

struct JsonLimits {
  int depth = kMaxJsonDepth;
  std::size_t values = kMaxJsonValues;
};

/// Why a text cannot be read as JSON, without the text's name.
class JsonError : public Error {
 public:
  JsonError(const std::string& reason, std::optional<std::size_t> offset) : Error(reason), offset_(offset) {}
  /// The byte, from 0, at which the text stops being JSON; nothing where it is JSON but refused: a key given twice, too
  /// deep or too many values.
  std::optional<std::size_t> offset() const { return offset_; }

 private:
  std::optional<std::size_t> offset_;
};

/// Throws JsonError for a text that is not JSON, has a key twice in one object, or exceeds the limits. Time is linear
/// in the text's length.
Json parse_json(std::string_view text, const JsonLimits& limits = {});

/// Parses an array and passes on its items one by one, so that only one is in memory. The limit on values is per item.
/// Throws JsonError like `parse_json`, and for a document that is not an array; items before the error have been passed
/// on.
void parse_json_items(std::string_view text, const std::function<void(Json item)>& use, const JsonLimits& limits = {});

/// The library's message of an error, without its prefix and without the place.
std::string json_reason(const Json::exception& error);

/// A value's type with its article: "a number", "an array", "null".
std::string described_type(const Json& value);

/// Sets the value to null without allocating. The library's own destructor allocates (it gathers all values in a list),
/// and terminates the program when memory has run out.
void release_json(Json& value) noexcept;

/// A value that may be large and is freed by `release_json`.
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

// Instantiated once, in json.cc, instead of wherever JSON is used.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;
