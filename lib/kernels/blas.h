// OpenBLAS, loaded on first use: most runs never need it, and loading it takes longer than answering a line of text.
#pragma once

#include <cblas.h>

namespace mnemo::kernels {

/// The functions of OpenBLAS that the products call. One thread per call.
struct Blas {
  decltype(&cblas_sgemm) sgemm;
  decltype(&openblas_get_corename) corename;
};

/// Throws Error if the library is not installed, or is not OpenBLAS.
const Blas& blas();

}  // namespace mnemo::kernels
