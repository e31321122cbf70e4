// Parsing and freeing JSON from outside. The parser is the library's, driven through its SAX interface: limits,
// repeated keys and the items of an array are handled as the text is read, in linear time, and an untrusted text can
// exhaust neither the stack nor, while it is freed, the memory.
#include "base/json.h"

#include <algorithm>
#include <vector>

namespace mnemo {
namespace {

// An object or array being read.
struct Level {
  bool is_object;
  std::vector<std::string> keys;  // of an object
  Json::array_t values;
};

// A few keys are compared pairwise, many are sorted.
void check_keys(const std::vector<std::string>& keys) {
  constexpr std::size_t kFew = 8;
  const auto refuse = [](std::string_view key) {
    throw JsonError(fmt::format("key \"{}\" is given twice in one object", key), std::nullopt);
  };
  if (keys.size() <= kFew) {
    for (std::size_t i = 1; i < keys.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (keys[j] == keys[i]) refuse(keys[i]);
    return;
  }
  std::vector<std::string_view> sorted(keys.begin(), keys.end());
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end()) refuse(*twice);
}

// Builds the value as the parser walks through the text. (The callback of the library's own `parse` could check the
// same, but takes time quadratic in the number of values; and its object compares a new key with all others, and copies
// its values when it grows.) No value is without an owner when memory runs out: `release_json` frees whatever was
// built.
class Builder : public nlohmann::json_sax<Json> {
 public:
  /// `use`, if not null, receives the items of the outermost array.
  Builder(const JsonLimits& limits, const std::function<void(Json item)>* use) : limits_(limits), use_(use) {}
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  ~Builder() override {
    release_json(root_);
    for (Level& level : levels_)
      for (Json& value : level.values) release_json(value);
  }

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON text has none
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    levels_.back().keys.push_back(std::move(key));
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception& error) override {
    throw JsonError(json_reason(error), position > 0 ? position - 1 : 0);
  }

 private:
  template <class Value>
  bool add(Value&& value) {
    count();
    place() = std::forward<Value>(value);
    return give();
  }

  void count() {
    if (++values_ > limits_.values)
      throw JsonError(fmt::format("JSON with more than {} values", limits_.values), std::nullopt);
  }

  // A slot for the next value in the level that it belongs to.
  Json& place() { return levels_.empty() ? root_ : levels_.back().values.emplace_back(); }

  bool open(bool is_object) {
    if (!use_ || !levels_.empty()) count();
    if (std::ssize(levels_) == limits_.depth)
      throw JsonError(fmt::format("JSON nested deeper than {} levels", limits_.depth), std::nullopt);
    levels_.push_back({is_object, {}, {}});
    return true;
  }

  bool close() {
    Json& to = levels_.size() == 1 ? root_ : levels_[levels_.size() - 2].values.emplace_back();
    Level& level = levels_.back();
    if (level.is_object) {
      check_keys(level.keys);
      to = Json::object();
      // The map's own `emplace` would search all keys each time.
      Json::object_t::Container& members = to.get_ref<Json::object_t&>();
      members.reserve(level.keys.size());
      for (std::size_t i = 0; i < level.keys.size(); ++i)
        members.emplace_back(std::move(level.keys[i]), std::move(level.values[i]));
    } else {
      to = Json::array();
      to.get_ref<Json::array_t&>() = std::move(level.values);
    }
    levels_.pop_back();
    return give();
  }

  // After a complete value.
  bool give() {
    if (!use_ || levels_.size() != 1) return true;
    auto& items = levels_.front().values;
    (*use_)(std::move(items.back()));
    items.clear();
    values_ = 0;
    return true;
  }

  const JsonLimits limits_;
  const std::function<void(Json item)>* use_;
  Json root_;
  std::vector<Level> levels_;
  std::size_t values_ = 0;
};

void walk(std::string_view text, Builder& builder) {
  // The parser takes a NUL for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) throw JsonError("a NUL byte", nul);
  Json::sax_parse(text.begin(), text.end(), &builder);
}

}  // namespace

Json parse_json(std::string_view text, const JsonLimits& limits) {
  Builder builder(limits, nullptr);
  walk(text, builder);
  return builder.take();
}

void parse_json_items(std::string_view text, const std::function<void(Json item)>& use, const JsonLimits& limits) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '[')
    throw JsonError(fmt::format("expected an array, found {}", described_type(parse_json(text, limits))), std::nullopt);
  Builder builder(limits, &use);
  walk(text, builder);
}

std::string json_reason(const Json::exception& error) {
  // It may quote the whole text.
  constexpr std::size_t kLongest = 160;
  std::string_view what = error.what();
  const auto skip_past = [&](std::string_view mark) {
    if (const std::size_t at = what.find(mark); at != std::string_view::npos) what.remove_prefix(at + mark.size());
  };
  skip_past("] ");
  if (what.starts_with("parse error")) skip_past(": ");
  if (what.size() <= kLongest) return std::string(what);
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(what[end]) & 0xC0) == 0x80) --end;
  return std::string(what.substr(0, end)) + "...";
}

std::string described_type(const Json& value) {
  const std::string type = value.type_name();
  return (type == "array" || type == "object" ? "an " : type == "null" ? "" : "a ") + type;
}

void release_json(Json& value) noexcept {
  if (value.is_array()) {
    auto& items = value.get_ref<Json::array_t&>();
    for (Json& item : items) release_json(item);
    items.clear();
  } else if (value.is_object()) {
    auto& members = value.get_ref<Json::object_t&>();
    for (auto& [key, member] : members) release_json(member);
    members.clear();
  }
  value = nullptr;
}

}  // namespace mnemo

template class nlohmann::basic_json<nlohmann::ordered_map>;
