# Compiler flags that every target of the project shares.
add_library(mnemo_flags INTERFACE)
target_compile_options(mnemo_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  # Bits must not depend on whether the compiler fuses a product and a sum: the kernels ask for that explicitly.
  -ffp-contract=off)

# Warnings are errors with the compilers that the project is checked with. A newer one may have new warnings, which must
# not stop a user's build.
if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
   OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15))
  target_compile_options(mnemo_flags INTERFACE -Werror)
endif()

# GCC 12 reports overlapping copies inside std::string's own operator+ (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(mnemo_flags INTERFACE -Wno-restrict)
endif()

if(MNEMO_SANITIZE)
  target_compile_options(mnemo_flags INTERFACE -fsanitize=${MNEMO_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  if(MNEMO_SANITIZE MATCHES "undefined")
    # These checks double the compile time of the kernels, and the address sanitizer finds the same errors on access.
    target_compile_options(mnemo_flags INTERFACE -fno-sanitize=pointer-overflow)
  endif()
  target_link_options(mnemo_flags INTERFACE -fsanitize=${MNEMO_SANITIZE})
endif()
if(MNEMO_FUZZ)
  target_compile_options(mnemo_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_link_options(mnemo_flags INTERFACE -Wl,--gc-sections -Wl,--as-needed)
  target_compile_options(mnemo_flags INTERFACE -ffunction-sections -fdata-sections)
endif()
