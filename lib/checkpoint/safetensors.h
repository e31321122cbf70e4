// The safetensors container: named tensors and a table of strings in one file, without any code in it. Its layout: 8
// bytes of header length (little-endian), a JSON header, the tensors' bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace mnemo {

/// The element types that are read and written. Complex types and those smaller than a byte are refused.
enum class DType { kF64, kF32, kBf16, kF16, kI64, kU64, kI32, kU32, kI16, kU16, kI8, kU8, kBool };

/// Bytes of one element.
std::size_t dtype_size(DType dtype);
/// The name in the file, such as "F32".
std::string_view dtype_name(DType dtype);

/// A tensor whose bytes are owned elsewhere: row-major, little-endian.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  ///< Empty: a scalar.
  const void* data = nullptr;       ///< Aligned to the element's size when it comes from a SafetensorsFile.
  std::size_t bytes = 0;            ///< The product of the shape times dtype_size(dtype).

  std::int64_t elements() const { return static_cast<std::int64_t>(bytes / dtype_size(dtype)); }
  /// The elements of an F32 tensor. Throws Error for any other type.
  std::span<const float> floats() const;
  /// The bytes of a U8 tensor. Throws Error for any other type.
  std::string_view text() const;
};

/// Views to write from. `data` must stay valid until then.
TensorView float_tensor(std::string name, std::vector<std::int64_t> shape, const float* data);
TensorView byte_tensor(std::string name, std::string_view bytes);

/// "[256, 100]", for messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

/// A file that was read and found valid. Its tensors live as long as it or any copy of it; copies share the bytes.
class SafetensorsFile {
 public:
  /// Throws Error if the file cannot be read, and as `parse` does.
  static SafetensorsFile read(const std::string& path);
  /// The same from memory that all processes which map the file share, or as `read` if it cannot be mapped.
  static SafetensorsFile map(const std::string& path);
  /// `name` is the file's name in messages. Whatever the bytes are, either every promise of this header holds or Error
  /// is thrown, with one line that lists the mismatches (the first ten and how many more there are).
  static SafetensorsFile parse(std::string bytes, const std::string& name);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<TensorView>& tensors() const { return tensors_; }  ///< Sorted by name.
  const TensorView* find(std::string_view name) const;                 ///< Null if there is none.
  const std::string& name() const { return name_; }
  /// The file that the tensor's bytes are mapped from; null if they were read.
  std::shared_ptr<MappedFile> mapped(const TensorView& tensor) const;

 private:
  SafetensorsFile() = default;
  static SafetensorsFile parse_bytes(std::string_view bytes, const std::string& name);

  std::string name_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorView> tensors_;
  std::shared_ptr<const std::string> bytes_;  // one of these two
  std::shared_ptr<MappedFile> mapped_;
  // Copies of tensors that are not aligned in the file.
  std::vector<std::shared_ptr<const std::vector<std::uint64_t>>> aligned_copies_;
};

/// The bytes of a file, which depend on the arguments alone and not on the order of the tensors: the header's keys are
/// sorted by name after `__metadata__`, the data by decreasing element size and then by name (as the reference
/// implementation lays them out), so that every tensor is aligned in a file that is mapped or read to an aligned place.
/// Throws Error for two tensors of one name, a name that is not valid UTF-8, a shape that does not fit `bytes`, and
/// anything else that the reader would refuse.
std::string to_safetensors(const std::map<std::string, std::string>& metadata, std::vector<TensorView> tensors);

/// Writes those bytes; the file gets its name only once it is complete and durable. Throws Error as AtomicFile does.
void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       std::vector<TensorView> tensors, Existing existing = Existing::kReplace);

}  // namespace mnemo
