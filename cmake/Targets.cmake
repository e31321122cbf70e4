# Sources compiled in batches share what is costly in each: reading headers and instantiating templates. From scratch it
# takes three fifths of the time. Without batches, as the full scripts/check.sh runs clang-tidy, every source must
# include what it uses.
option(MNEMO_BATCHES "Compile several sources at once" ON)
set(MNEMO_BATCH_SIZE 12 CACHE STRING "How many of a library; of a test program half as many")
# mnemo_in_batches(TARGET SIZE): whose sources have distinct names also where they are local to a file.
function(mnemo_in_batches target size)
  if(MNEMO_BATCHES)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${size})
    # A type that a header declares and a source defines may have members of local types; only the file's name differs.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

# mnemo_library(NAME DEPENDS ...): the sources of the current folder and its subfolders as the static library
# mnemo_NAME. It is linked downwards only; `scripts/check.sh` refuses an include that goes up. LEVEL: the optimisation
# level of a release instead of -O3, for folders whose own speed does not matter: -O1 halves their compile time.
# SEPARATE: not in batches.
function(mnemo_library name)
  cmake_parse_arguments(ARG "SEPARATE" "LEVEL" "DEPENDS;SYSTEM" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  if(NOT sources)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/none.cc "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/none.cc)
  endif()
  add_library(mnemo_${name} STATIC ${sources})
  target_include_directories(mnemo_${name} PUBLIC ${PROJECT_SOURCE_DIR}/lib)
  target_link_libraries(mnemo_${name} PUBLIC ${ARG_SYSTEM} PRIVATE mnemo_flags)
  if(NOT ARG_SEPARATE)
    mnemo_in_batches(mnemo_${name} ${MNEMO_BATCH_SIZE})
  endif()
  if(ARG_LEVEL)
    target_compile_options(mnemo_${name} PRIVATE $<$<CONFIG:Release>:-O${ARG_LEVEL}>)
  endif()
  foreach(lower ${ARG_DEPENDS})
    target_link_libraries(mnemo_${name} PUBLIC mnemo_${lower})
  endforeach()
endfunction()
