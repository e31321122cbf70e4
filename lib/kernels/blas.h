// OpenBLAS, loaded when it is first asked for: most runs never multiply by it, and loading it takes longer than
// answering a line of text.
#pragma once

#include <cblas.h>

namespace mnemo::kernels {

/// Its functions that the product calls. One thread a call.
struct Blas {
  decltype(&cblas_sgemm) sgemm;
  decltype(&openblas_get_corename) corename;
};

/// Throws Error if the library is not installed, or is not OpenBLAS.
const Blas& blas();

}  // namespace mnemo::kernels
