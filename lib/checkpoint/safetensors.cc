// A file is untrusted: its header is first walked by a SAX parser that enforces limits and rejects duplicate keys, only
// then built as JSON; after that every tensor's type, shape and offsets are checked, and all of the data must be
// covered without overlap. All mismatches are collected, so that one message reports them.
#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <filesystem>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/shown.h"
#include "checkpoint/format.h"

namespace mnemo {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

struct DTypeFacts {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<DTypeFacts, 13> kDTypes = {{{DType::kF64, "F64", 8},
                                                 {DType::kF32, "F32", 4},
                                                 {DType::kBf16, "BF16", 2},
                                                 {DType::kF16, "F16", 2},
                                                 {DType::kI64, "I64", 8},
                                                 {DType::kU64, "U64", 8},
                                                 {DType::kI32, "I32", 4},
                                                 {DType::kU32, "U32", 4},
                                                 {DType::kI16, "I16", 2},
                                                 {DType::kU16, "U16", 2},
                                                 {DType::kI8, "I8", 1},
                                                 {DType::kU8, "U8", 1},
                                                 {DType::kBool, "BOOL", 1}}};

const DTypeFacts& facts(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)]; }

std::optional<DType> dtype_by_name(std::string_view name) {
  for (const DTypeFacts& each : kDTypes)
    if (each.name == name) return each.dtype;
  return std::nullopt;
}

// Text from a file, for a message.
std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", shown(text)); }

// The mismatches of one file, reported together in one line.
class Problems {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (++count_ <= kListed) lines_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void throw_if_any(const std::string& name, std::string_view what) const {
    if (count_ == 0) return;
    const std::string more = count_ > kListed ? fmt::format("; and {} more", count_ - kListed) : "";
    fail("{}: {}: {}{}", name, what, fmt::join(lines_, "; "), more);
  }

 private:
  static constexpr std::size_t kListed = 10;
  std::vector<std::string> lines_;
  std::size_t count_ = 0;
};

std::optional<std::int64_t> product(const std::vector<std::int64_t>& shape, std::int64_t factor) {
  std::int64_t result = factor;
  for (const std::int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(result, size, &result)) return std::nullopt;
  return result;
}

// ---- Guesses at the kind of a file that is not a safetensors file.

bool starts_with(std::string_view bytes, std::string_view prefix) { return bytes.substr(0, prefix.size()) == prefix; }

bool looks_like_text(std::string_view bytes) {
  return std::ranges::all_of(bytes.substr(0, 64), [](char c) {
    const auto value = static_cast<unsigned char>(c);
    return (value >= 0x20 && value != 0x7F && value < 0xF8) || c == '\t' || c == '\n' || c == '\r';
  });
}

std::string_view foreign_kind(std::string_view bytes) {
  if (bytes.empty()) return "the file is empty";
  if (starts_with(bytes, "version https://git-lfs"))
    return "the file is a Git LFS pointer to the real one (`git lfs pull` fetches it)";
  if (starts_with(bytes, "PK\x03\x04")) return "the file is a zip archive, as PyTorch and Keras save models";
  if (starts_with(bytes, "\x89HDF")) return "the file is in HDF5 format, as Keras saves models";
  if (starts_with(bytes, "\x1F\x8B")) return "the file is compressed by gzip";
  if (starts_with(bytes, "\x80") && bytes.size() > 1 && bytes[1] >= 2 && bytes[1] <= 5)
    return "the file is a Python pickle, as older versions of PyTorch save models";
  if (looks_like_text(bytes)) return "the file is text";
  return "";
}

[[noreturn]] void refuse_foreign(const std::string& name, std::string_view bytes, const std::string& otherwise) {
  const std::string_view kind = foreign_kind(bytes);
  fail("{}: not a safetensors file: {}", name, kind.empty() ? std::string_view(otherwise) : kind);
}

// ---- Reading.

// The JSON text between the length and the data.
std::string_view header_text(std::string_view bytes, const std::string& name) {
  if (bytes.size() < 8) refuse_foreign(name, bytes, fmt::format("it has {} bytes, which is too short", bytes.size()));
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > bytes.size() - 8)
    refuse_foreign(name, bytes,
                   fmt::format("its first 8 bytes announce a header of {} bytes, but {} follow: cut off, or in another "
                               "format",
                               length, bytes.size() - 8));
  if (length > format::kMaxHeaderBytes)
    fail("{}: the header has {} bytes, expected at most {}", name, length, format::kMaxHeaderBytes);
  const std::string_view header = bytes.substr(8, length);
  if (header.empty() || header.front() != '{') refuse_foreign(name, bytes, "its header does not begin with {");
  // The JSON parser takes a NUL for the end of its input, and would leave the rest unread.
  if (header.find('\0') != std::string_view::npos) fail("{}: the header is not valid JSON: it holds a NUL byte", name);
  return header;
}

// Walks through the JSON text before a value is built from it: refuses text that is not JSON, a key given twice, and
// whatever could make a small file need a lot of memory. Its limits are tighter than those of `parse_json`.
class HeaderGuard : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderGuard(const std::string& name) : name_(name) {}

  bool null() override { return add_value(); }
  bool boolean(bool) override { return add_value(); }
  bool number_integer(number_integer_t) override { return add_value(); }
  bool number_unsigned(number_unsigned_t) override { return add_value(); }
  bool number_float(number_float_t, const string_t&) override { return add_value(); }
  bool string(string_t&) override { return add_value(); }
  bool binary(binary_t&) override { return add_value(); }
  bool start_object(std::size_t) override { return add_value() && open(); }
  bool start_array(std::size_t) override { return add_value() && open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& key) override { return add_key(key); }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    fail("{}: the header is not valid JSON, at byte {} of the file", name_, position + 8);
  }

 private:
  struct Level {
    std::unordered_set<std::string> keys;
    std::size_t values = 0;
  };

  bool open() {
    if (levels_.size() == 3) fail("{}: the header is nested too deeply in {}", name_, in_quotes(entry_));
    levels_.emplace_back();
    return true;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  bool add_key(const std::string& key) {
    auto& keys = levels_.back().keys;
    if (!keys.insert(key).second) fail("{}: the header has the key {} twice", name_, in_quotes(key));
    if (levels_.size() == 1) entry_ = key;
    const bool table = levels_.size() == 1 || entry_ == format::kMetadata;
    const std::size_t most = table ? format::kMaxEntries + 1 : 8;
    if (keys.size() > most) fail("{}: the header has an object of more than {} keys", name_, most);
    return true;
  }

  bool add_value() {
    // An object's values were counted by their keys.
    if (levels_.empty() || !levels_.back().keys.empty()) return true;
    if (++levels_.back().values > format::kMaxRank)
      fail("{}: the header has a list of more than {} values in {}", name_, format::kMaxRank, in_quotes(entry_));
    return true;
  }

  const std::string& name_;
  std::vector<Level> levels_;
  std::string entry_;
};

JsonDocument parse_header(std::string_view header, const std::string& name) {
  HeaderGuard guard(name);
  Json::sax_parse(header.begin(), header.end(), &guard);
  return JsonDocument(parse_json(header, {.values = header.size()}));
}

std::map<std::string, std::string> read_metadata(const Json& header, Problems& problems) {
  std::map<std::string, std::string> metadata;
  const auto found = header.find(format::kMetadata);
  if (found == header.end()) return metadata;
  if (!found->is_object()) {
    problems.add("__metadata__: expected an object, found {}", found->type_name());
    return metadata;
  }
  for (const auto& [key, value] : found->items()) {
    if (value.is_string())
      metadata.emplace(key, value.get_ref<const std::string&>());
    else
      problems.add("__metadata__ {}: expected a string, found {}", in_quotes(key), value.type_name());
  }
  return metadata;
}

// One tensor's entry in the header, on its way to a view.
struct Entry {
  TensorView view;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

bool read_dtype(const Json& fields, const std::string& tensor, DType& dtype, Problems& problems) {
  const auto found = fields.find("dtype");
  if (found == fields.end() || !found->is_string()) {
    problems.add("tensor {}: dtype missing or not a string", tensor);
    return false;
  }
  const auto known = dtype_by_name(found->get_ref<const std::string&>());
  if (known)
    dtype = *known;
  else
    problems.add("tensor {}: unknown dtype {}", tensor, in_quotes(found->get_ref<const std::string&>()));
  return known.has_value();
}

bool is_list_of_sizes(const Json& list) {
  return list.is_array() && std::ranges::all_of(list, [](const Json& item) {
           return item.is_number_unsigned() && item.get<std::uint64_t>() <= INT64_MAX;
         });
}

bool read_shape(const Json& fields, const std::string& tensor, std::vector<std::int64_t>& shape, Problems& problems) {
  const auto found = fields.find("shape");
  if (found == fields.end() || !is_list_of_sizes(*found)) {
    problems.add("tensor {}: shape missing or not a list of whole numbers from 0", tensor);
    return false;
  }
  shape = found->get<std::vector<std::int64_t>>();
  return true;
}

bool read_offsets(const Json& fields, const std::string& tensor, std::size_t data_bytes, Entry& entry,
                  Problems& problems) {
  const auto found = fields.find("data_offsets");
  if (found == fields.end() || !is_list_of_sizes(*found) || found->size() != 2) {
    problems.add("tensor {}: data_offsets missing or not a list of two whole numbers from 0", tensor);
    return false;
  }
  entry.begin = (*found)[0].get<std::uint64_t>();
  entry.end = (*found)[1].get<std::uint64_t>();
  if (entry.begin <= entry.end && entry.end <= data_bytes) return true;
  problems.add("tensor {}: bytes {} to {} are not within the {} bytes of data (cut off?)", tensor, entry.begin,
               entry.end, data_bytes);
  return false;
}

// A file that was cut off lacks the data of all tensors from some place on, which is one fault.
void check_complete(const Json& header, std::size_t data_bytes, const std::string& name) {
  std::uint64_t needed = 0;
  int beyond = 0;
  for (const auto& [key, fields] : header.items()) {
    if (key == format::kMetadata || !fields.is_object()) continue;
    const auto found = fields.find("data_offsets");
    if (found == fields.end() || !is_list_of_sizes(*found) || found->size() != 2) continue;
    const auto end = (*found)[1].get<std::uint64_t>();
    needed = std::max(needed, end);
    beyond += end > data_bytes ? 1 : 0;
  }
  if (beyond > 1)
    fail("{}: damaged: its tensors need {} bytes of data, of which the file has {}: cut off? Copy it again", name,
         needed, data_bytes);
}

void check_fields_known(const Json& fields, const std::string& tensor, Problems& problems) {
  for (const auto& [key, value] : fields.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      problems.add("tensor {}: unknown key {}", tensor, in_quotes(key));
}

void check_size(const Entry& entry, const std::string& tensor, Problems& problems) {
  const auto bytes = product(entry.view.shape, static_cast<std::int64_t>(dtype_size(entry.view.dtype)));
  const std::string kind = fmt::format("{} {}", dtype_name(entry.view.dtype), shape_text(entry.view.shape));
  if (!bytes)
    problems.add("tensor {}: {} has more bytes than can be counted", tensor, kind);
  else if (static_cast<std::uint64_t>(*bytes) != entry.end - entry.begin)
    problems.add("tensor {}: {} needs {} bytes, data_offsets give {}", tensor, kind, *bytes, entry.end - entry.begin);
}

// Nothing if the tensor's offsets are not known: then overlaps cannot be checked either.
std::optional<Entry> read_entry(const std::string& name, const Json& fields, std::string_view data,
                                Problems& problems) {
  const std::string tensor = in_quotes(name);
  if (!fields.is_object()) {
    problems.add("tensor {}: expected an object, found {}", tensor, fields.type_name());
    return std::nullopt;
  }
  Entry entry;
  entry.view.name = name;
  check_fields_known(fields, tensor, problems);
  const bool typed = read_dtype(fields, tensor, entry.view.dtype, problems);
  const bool shaped = read_shape(fields, tensor, entry.view.shape, problems);
  if (!read_offsets(fields, tensor, data.size(), entry, problems)) return std::nullopt;
  if (typed && shaped) check_size(entry, tensor, problems);
  entry.view.bytes = entry.end - entry.begin;
  entry.view.data = data.data() + entry.begin;
  return entry;
}

void check_coverage(std::vector<Entry> entries, std::size_t data_bytes, Problems& problems) {
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.view.name) < std::tie(b.begin, b.end, b.view.name);
  });
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin > covered) problems.add("bytes {} to {} of the data belong to no tensor", covered, entry.begin);
    if (entry.begin < covered)
      problems.add("tensor {}: its bytes overlap another tensor's", in_quotes(entry.view.name));
    covered = std::max(covered, entry.end);
  }
  if (covered != data_bytes) problems.add("bytes {} to {} of the data belong to no tensor", covered, data_bytes);
}

std::vector<Entry> read_entries(const Json& header, std::string_view data, Problems& problems) {
  std::vector<Entry> entries;
  bool all_placed = true;
  for (const auto& [key, value] : header.items()) {
    if (key == format::kMetadata) continue;
    auto entry = read_entry(key, value, data, problems);
    if (entry)
      entries.push_back(std::move(*entry));
    else
      all_placed = false;
  }
  if (all_placed) check_coverage(entries, data.size(), problems);
  return entries;
}

// ---- Writing.

void check_tensor(const TensorView& tensor, Problems& problems) {
  const auto bytes = product(tensor.shape, static_cast<std::int64_t>(dtype_size(tensor.dtype)));
  if (!bytes || static_cast<std::uint64_t>(*bytes) != tensor.bytes)
    problems.add("tensor {}: {} {} does not fit its {} bytes", in_quotes(tensor.name), dtype_name(tensor.dtype),
                 shape_text(tensor.shape), tensor.bytes);
  if (tensor.shape.size() > format::kMaxRank)
    problems.add("tensor {}: more than {} dimensions", in_quotes(tensor.name), format::kMaxRank);
  if (tensor.name == format::kMetadata) problems.add("a tensor must not be called __metadata__");
}

// `tensors` sorted by name.
void check_writable(const std::map<std::string, std::string>& metadata, const std::vector<TensorView>& tensors,
                    const std::string& name) {
  Problems problems;
  for (const TensorView& tensor : tensors) check_tensor(tensor, problems);
  for (std::size_t i = 1; i < tensors.size(); ++i)
    if (tensors[i].name == tensors[i - 1].name) problems.add("two tensors are called {}", in_quotes(tensors[i].name));
  if (std::max(metadata.size(), tensors.size()) > format::kMaxEntries)
    problems.add("more than {} tensors or metadata", format::kMaxEntries);
  problems.throw_if_any(name, "cannot be saved");
}

// Indices in the order of the data: decreasing element size, then name. `tensors` sorted by name.
std::vector<std::size_t> data_order(const std::vector<TensorView>& tensors) {
  std::vector<std::size_t> order(tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(
      order, [&](std::size_t a, std::size_t b) { return dtype_size(tensors[a].dtype) > dtype_size(tensors[b].dtype); });
  return order;
}

std::string tensor_line(const TensorView& tensor, std::size_t begin) {
  return fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", Json(tensor.name).dump(),
                     dtype_name(tensor.dtype), fmt::join(tensor.shape, ","), begin, begin + tensor.bytes);
}

std::string header_json(const std::map<std::string, std::string>& metadata, const std::vector<TensorView>& tensors,
                        const std::vector<std::size_t>& order) {
  std::vector<std::size_t> begins(tensors.size());
  std::size_t end = 0;
  for (const std::size_t i : order) begins[i] = std::exchange(end, end + tensors[i].bytes);
  std::vector<std::string> lines;
  if (!metadata.empty()) lines.push_back(fmt::format("\"{}\":{}", format::kMetadata, Json(metadata).dump()));
  for (std::size_t i = 0; i < tensors.size(); ++i) lines.push_back(tensor_line(tensors[i], begins[i]));
  return fmt::format("{{{}}}", fmt::join(lines, ","));
}

// The bytes to write, in pieces that point into the tensors.
struct Layout {
  std::string head;  // length and header
  std::vector<std::string_view> pieces;
};

Layout lay_out(const std::map<std::string, std::string>& metadata, std::vector<TensorView>& tensors,
               const std::string& name) {
  std::ranges::sort(tensors, {}, &TensorView::name);
  check_writable(metadata, tensors, name);
  const auto order = data_order(tensors);
  Layout layout;
  try {
    layout.head = header_json(metadata, tensors, order);
  } catch (const Json::exception&) {
    fail("{}: cannot be saved: a tensor's name or the metadata are not valid UTF-8", name);
  }
  layout.head.resize((layout.head.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = layout.head.size();
  if (length > format::kMaxHeaderBytes)
    fail("{}: cannot be saved: its header has {} bytes, expected at most {}", name, length, format::kMaxHeaderBytes);
  layout.head.insert(0, reinterpret_cast<const char*>(&length), 8);
  for (const std::size_t i : order)
    layout.pieces.emplace_back(static_cast<const char*>(tensors[i].data), tensors[i].bytes);
  return layout;
}

}  // namespace

std::size_t dtype_size(DType dtype) { return facts(dtype).size; }

std::string_view dtype_name(DType dtype) { return facts(dtype).name; }

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::span<const float> TensorView::floats() const {
  if (dtype != DType::kF32) fail("tensor {}: expected F32, found {}", in_quotes(name), dtype_name(dtype));
  return {static_cast<const float*>(data), bytes / sizeof(float)};
}

std::string_view TensorView::text() const {
  if (dtype != DType::kU8) fail("tensor {}: expected U8, found {}", in_quotes(name), dtype_name(dtype));
  return {static_cast<const char*>(data), bytes};
}

TensorView float_tensor(std::string name, std::vector<std::int64_t> shape, const float* data) {
  const auto bytes = product(shape, sizeof(float));
  if (!bytes) fail("tensor {}: impossible shape {}", in_quotes(name), shape_text(shape));
  return {std::move(name), DType::kF32, std::move(shape), data, static_cast<std::size_t>(*bytes)};
}

TensorView byte_tensor(std::string name, std::string_view bytes) {
  return {std::move(name), DType::kU8, {static_cast<std::int64_t>(bytes.size())}, bytes.data(), bytes.size()};
}

SafetensorsFile SafetensorsFile::read(const std::string& path) {
  // Reading a device may never end.
  std::error_code none;
  const auto status = std::filesystem::status(path, none);
  if (std::filesystem::is_character_file(status) || std::filesystem::is_block_file(status))
    fail("{}: expected a file, found a device", path);
  return parse(read_file(path), path);
}

SafetensorsFile SafetensorsFile::map(const std::string& path) {
  auto mapped = MappedFile::open(path);
  if (!mapped) return read(path);
  SafetensorsFile file = parse_bytes(mapped->bytes(), path);
  file.mapped_ = std::move(mapped);
  return file;
}

SafetensorsFile SafetensorsFile::parse(std::string bytes, const std::string& name) {
  auto owned = std::make_shared<const std::string>(std::move(bytes));
  SafetensorsFile file = parse_bytes(*owned, name);
  file.bytes_ = std::move(owned);
  return file;
}

std::shared_ptr<MappedFile> SafetensorsFile::mapped(const TensorView& tensor) const {
  const auto inside = [&](std::string_view bytes) {
    const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
    const auto at = reinterpret_cast<std::uintptr_t>(tensor.data);
    return at >= first && at - first < bytes.size();
  };
  return mapped_ && inside(mapped_->bytes()) ? mapped_ : nullptr;
}

SafetensorsFile SafetensorsFile::parse_bytes(std::string_view bytes, const std::string& name) {
  SafetensorsFile file;
  file.name_ = name;
  const std::string_view header = header_text(bytes, name);
  const JsonDocument document = parse_header(header, name);
  const Json& parsed = *document;
  Problems problems;
  file.metadata_ = read_metadata(parsed, problems);
  const std::string_view data = bytes.substr(8 + header.size());
  check_complete(parsed, data.size(), name);
  auto entries = read_entries(parsed, data, problems);
  problems.throw_if_any(name, "damaged");
  for (Entry& entry : entries) file.tensors_.push_back(std::move(entry.view));
  std::ranges::sort(file.tensors_, {}, &TensorView::name);
  for (TensorView& tensor : file.tensors_) {
    if (reinterpret_cast<std::uintptr_t>(tensor.data) % dtype_size(tensor.dtype) == 0) continue;
    auto copy = std::make_shared<std::vector<std::uint64_t>>(tensor.bytes / 8 + 1);
    std::memcpy(copy->data(), tensor.data, tensor.bytes);
    tensor.data = copy->data();
    file.aligned_copies_.push_back(std::move(copy));
  }
  return file;
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(tensors_, name, {},
                                              [](const TensorView& tensor) -> std::string_view { return tensor.name; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

std::string to_safetensors(const std::map<std::string, std::string>& metadata, std::vector<TensorView> tensors) {
  Layout layout = lay_out(metadata, tensors, "model");
  std::string bytes = std::move(layout.head);
  for (const std::string_view piece : layout.pieces) bytes += piece;
  return bytes;
}

void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       std::vector<TensorView> tensors, Existing existing) {
  const Layout layout = lay_out(metadata, tensors, path);
  AtomicFile file(path, existing);
  file.write(layout.head);
  for (const std::string_view piece : layout.pieces) file.write(piece);
  file.commit();
}

}  // namespace mnemo
