#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/record_readers.h"

namespace mnemo {
namespace {

using nlohmann::json;

// What the library says, without its own name and without the position, which the message already has.
std::string reason_of(const json::parse_error& error) {
  const std::string_view what = error.what();
  const std::size_t begin = what.find(": ");
  return std::string(begin == std::string_view::npos ? what : what.substr(begin + 2));
}

class JsonlReader : public RecordReader {
 public:
  JsonlReader(LineReader lines, const RecordOptions& options)
      : RecordReader(std::move(lines), options),
        label_key_(options.label.empty() ? "label" : options.label),
        text_key_(options.text.empty() ? "text" : options.text) {}

 protected:
  bool read(Record& record) override {
    if (!next_line(line_)) return false;
    if (line_.empty()) return true;
    const json object = parse();
    if (!object.is_object()) fail_here("expected a JSON object, found {}", object.type_name());
    read_text(object, record);
    read_labels(object, record);
    return true;
  }

 private:
  json parse() const {
    try {
      return json::parse(line_);
    } catch (const json::parse_error& error) {
      const std::size_t offset = std::min(error.byte > 0 ? error.byte - 1 : 0, line_.size());
      fail("{}:{}:{}: not JSON: {}", name(), lines_.line_number(), column_of(line_, offset), reason_of(error));
    } catch (const json::exception& error) {  // a number out of range
      fail_here("not JSON: {}", error.what());
    }
  }

  void read_text(const json& object, Record& record) const {
    const auto found = object.find(text_key_);
    if (found == object.end()) fail_here("no key \"{}\" in the object", text_key_);
    if (!found->is_string()) fail_here("\"{}\" is {}, expected a string", text_key_, described(*found));
    record.text = found->get_ref<const std::string&>();
  }

  void read_labels(const json& object, Record& record) const {
    const auto found = object.find(label_key_);
    if (found == object.end() || found->is_null()) {
      if (!options_.require_label || (options_.multi_label && found != object.end())) return;
      fail_here("no {} \"{}\" in the object", found == object.end() ? "key" : "value of", label_key_);
    }
    if (found->is_array() && options_.multi_label) {
      for (const json& item : *found) add_label(label_text(item), record);
      return;
    }
    const std::string label = label_text(*found);
    if (!label.empty() || options_.require_label) add_label(label, record);
  }

  std::string label_text(const json& value) const {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number() || value.is_boolean()) return value.dump();
    fail_here("\"{}\" is {}, expected a string, a number, true or false{}", label_key_, described(value),
              value.is_array() ? " (set multi_label for several labels)" : "");
  }

  static std::string described(const json& value) {
    const std::string type = value.type_name();
    return (type == "array" || type == "object" ? "an " : type == "null" ? "" : "a ") + type;
  }

  std::string label_key_, text_key_;
  std::string line_;
};

}  // namespace

std::unique_ptr<RecordReader> jsonl_reader(LineReader lines, const RecordOptions& options) {
  return std::make_unique<JsonlReader>(std::move(lines), options);
}

}  // namespace mnemo
