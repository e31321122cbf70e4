# Results of compilations are reused if ccache is installed, also between checkouts in different folders.
option(MNEMO_CCACHE "Compile through ccache if it is installed" ON)
find_program(MNEMO_CCACHE_PROGRAM ccache)
mark_as_advanced(MNEMO_CCACHE_PROGRAM)
if(MNEMO_CCACHE AND MNEMO_CCACHE_PROGRAM)
  foreach(language C CXX)
    if(NOT CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
        CCACHE_NOHASHDIR=true ${MNEMO_CCACHE_PROGRAM})
    endif()
  endforeach()
endif()
