#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_RUNNER
#endif
#include "tests/catch.h"
#include "tests/places.h"

const std::string& source_folder() {
  static const std::string folder = MNEMO_SOURCE_DIR;
  return folder;
}

const std::string& program_path() {
  static const std::string path = MNEMO_PROGRAM;
  return path;
}

int main(int argc, char** argv) {
  Catch::Session session;
#if !__has_include(<catch2/catch_all.hpp>)
  // A name that matches no test is a mistake, as it is for Catch2 3 by itself.
  session.configData().warnings = Catch::WarnAbout::NoTests;
#endif
  return session.run(argc, argv);
}
