// For any bytes: an Error, or a file whose tensors can be read to the last byte and written again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace {

using mnemo::SafetensorsFile;

void require(bool truth) {
  if (!truth) __builtin_trap();
}

std::uint64_t sum_of_bytes(const SafetensorsFile& file) {
  std::uint64_t sum = 0;
  for (const auto& tensor : file.tensors())
    for (std::size_t i = 0; i < tensor.bytes; ++i) sum += static_cast<const unsigned char*>(tensor.data)[i];
  return sum;
}

void round_trip(const SafetensorsFile& file) {
  const std::string written = mnemo::to_safetensors(file.metadata(), file.tensors());
  const auto again = SafetensorsFile::parse(written, "again");
  require(again.metadata() == file.metadata());
  require(again.tensors().size() == file.tensors().size());
  require(sum_of_bytes(again) == sum_of_bytes(file));
  require(mnemo::to_safetensors(again.metadata(), again.tensors()) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    round_trip(SafetensorsFile::parse(std::string(reinterpret_cast<const char*>(data), size), "fuzz"));
  } catch (const mnemo::Error& error) {
    require(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
