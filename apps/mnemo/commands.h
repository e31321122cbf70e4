// The program's commands. Each declares its options on a subcommand and gives what runs when it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace mnemo {

/// Runs a command; the result is the exit code.
using Command = std::function<int()>;

void add_train(CLI::App& app, Command& chosen);
void add_evaluate(CLI::App& app, Command& chosen);
void add_classify(CLI::App& app, Command& chosen);
void add_tag(CLI::App& app, Command& chosen);
void add_generate(CLI::App& app, Command& chosen);
void add_score(CLI::App& app, Command& chosen);
void add_quantize(CLI::App& app, Command& chosen);
void add_inspect(CLI::App& app, Command& chosen);
void add_config(CLI::App& app, Command& chosen);
void add_bench(CLI::App& app, Command& chosen);

/// Adds `--threads N`, by default the cores that the process may use.
void add_threads(CLI::App* command, int& threads);

/// Accepts numbers from `low` to `high`, and so no NaN, which CLI::Range lets pass.
CLI::Validator number_from(double low, double high);

/// What `--version` prints: version, compiler, instruction set, who serves the matrix products, format version.
std::string version_text();

}  // namespace mnemo
