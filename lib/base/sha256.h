// SHA-256 (FIPS 180-4), to name files by their content.
#pragma once

#include <string>
#include <string_view>

namespace mnemo {

/// The hash of the bytes as 64 hexadecimal digits, as `sha256sum` prints it.
std::string sha256(std::string_view bytes);

}  // namespace mnemo
