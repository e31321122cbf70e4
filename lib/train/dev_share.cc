#include "train/dev_share.h"

#include <cstring>

namespace mnemo {

// Bits that other processes have set are 0 here.
void DevShare::unite_bytes(void* data, std::size_t bytes) const {
  if (!transport_) return;
  auto* const to = static_cast<char*>(data);
  for (const std::string& part : all_gather(*transport_, std::string(to, bytes)))
    for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<char>(to[i] | part[i]);
}

std::vector<double> DevShare::joined(const std::vector<double>& own) const {
  if (!transport_) return own;
  std::vector<double> out;
  const std::string bytes(reinterpret_cast<const char*>(own.data()), own.size() * sizeof(double));
  for (const std::string& part : all_gather(*transport_, bytes)) {
    const std::size_t before = out.size();
    out.resize(before + part.size() / sizeof(double));
    if (!part.empty()) std::memcpy(out.data() + before, part.data(), part.size());
  }
  return out;
}

std::vector<std::string> DevShare::joined(const std::vector<std::string>& own) const {
  if (!transport_) return own;
  std::string bytes;  // of each text its length, and the text
  for (const std::string& text : own) {
    const std::uint64_t length = text.size();
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length).append(text);
  }
  std::vector<std::string> out;
  for (const std::string& part : all_gather(*transport_, bytes))
    for (std::size_t at = 0; at < part.size();) {
      std::uint64_t length = 0;
      std::memcpy(&length, part.data() + at, sizeof length);
      out.push_back(part.substr(at + sizeof length, length));
      at += sizeof length + length;
    }
  return out;
}

}  // namespace mnemo
