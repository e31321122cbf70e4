#include "kernels/blas.h"

#include <dlfcn.h>

#include "base/error.h"

namespace mnemo::kernels {
namespace {

constexpr const char* kLibrary = "libopenblas.so.0";

template <class Function>
Function find(void* library, const char* name) {
  void* const found = ::dlsym(library, name);
  if (!found) fail("{}: has no function {}", kLibrary, name);
  return reinterpret_cast<Function>(found);
}

Blas load() {
  void* const library = ::dlopen(kLibrary, RTLD_LAZY | RTLD_LOCAL);
  if (!library) fail("OpenBLAS cannot be loaded: {}", ::dlerror());
  find<decltype(&openblas_set_num_threads)>(library, "openblas_set_num_threads")(1);
  return {find<decltype(&cblas_sgemm)>(library, "cblas_sgemm"),
          find<decltype(&openblas_get_corename)>(library, "openblas_get_corename")};
}

}  // namespace

const Blas& blas() {
  static const Blas loaded = load();
  return loaded;
}

}  // namespace mnemo::kernels
