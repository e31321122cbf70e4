// Options that every command that reads data has.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "config/config.h"
#include "text/utf8.h"

namespace mnemo {

struct DataOptions {
  std::string invalid_utf8 = "error";
  std::string format_in;

  InvalidUtf8 policy() const { return *invalid_utf8_from_name(invalid_utf8); }
};

/// Adds `--invalid-utf8` and `--format-in`.
void add_data_options(CLI::App* command, DataOptions& options);

/// Clears the keys that say where in a record of another format label and text are.
void forget_columns(DataConfig& data);

}  // namespace mnemo
