#include "base/error.h"
#include "base/shown.h"
#include "text/json_line.h"
#include "text/record_readers.h"

namespace mnemo {
namespace {

class JsonlReader : public RecordReader {
 public:
  JsonlReader(LineReader lines, const RecordOptions& options)
      : RecordReader(std::move(lines), options),
        label_key_(options.label.empty() ? "label" : options.label),
        text_key_(options.text.empty() ? "text" : options.text) {}

 protected:
  bool read(Record& record) override {
    if (!next_line(line_)) return false;
    if (line_.empty() && !options_.ids) return true;
    const JsonDocument object = parse_json_line(line_, name(), lines_.line_number());
    if (options_.ids) id_ = json_id(*object, name(), lines_.line_number());
    read_text(*object, record);
    read_labels(*object, record);
    return true;
  }

 private:
  void read_text(const Json& object, Record& record) const {
    const auto found = object.find(text_key_);
    if (found == object.end()) fail_here("no key \"{}\" in the object", shown(text_key_));
    if (!found->is_string()) fail_here("\"{}\" is {}, expected a string", shown(text_key_), described_type(*found));
    record.text = found->get_ref<const std::string&>();
  }

  void read_labels(const Json& object, Record& record) const {
    const auto found = object.find(label_key_);
    if (found == object.end() || found->is_null()) {
      if (!options_.require_label || (options_.multi_label && found != object.end())) return;
      fail_here("no {} \"{}\" in the object", found == object.end() ? "key" : "value for", shown(label_key_));
    }
    if (found->is_array() && options_.multi_label) {
      for (const Json& item : *found) add_label(label_text(item), record);
      return;
    }
    const std::string label = label_text(*found);
    if (!label.empty() || options_.require_label) add_label(label, record);
  }

  std::string label_text(const Json& value) const {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number() || value.is_boolean()) return value.dump();
    fail_here("\"{}\" is {}, expected a string, a number, true or false{}", shown(label_key_), described_type(value),
              value.is_array() ? " (set multi_label for several labels)" : "");
  }

  std::string label_key_, text_key_;
  std::string line_;
};

}  // namespace

std::unique_ptr<RecordReader> jsonl_reader(LineReader lines, const RecordOptions& options) {
  return std::make_unique<JsonlReader>(std::move(lines), options);
}

}  // namespace mnemo
