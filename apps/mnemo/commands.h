// The program's commands. Each declares its options and the function that runs it.
#pragma once

#include <array>
#include <string>

#include "apps/mnemo/command_line.h"

namespace mnemo {

void add_init(Command& program);
void add_train(Command& program);
void add_tune(Command& program);
void add_evaluate(Command& program);
void add_classify(Command& program);
void add_tag(Command& program);
void add_generate(Command& program);
void add_translate(Command& program);
void add_score(Command& program);
void add_serve(Command& program);
void add_quantize(Command& program);
void add_inspect(Command& program);
void add_config(Command& program);
void add_bench(Command& program);
void add_bench_memory(Command& bench);  // below bench, which adds it
void add_completion(Command& program);
void add_help(Command& program);
inline constexpr std::array kCommands{
    add_init,  add_train, add_tune,     add_evaluate, add_classify, add_tag,   add_generate,   add_translate,
    add_score, add_serve, add_quantize, add_inspect,  add_config,   add_bench, add_completion, add_help};

/// Adds the options of every command: `--threads N`, by default the cores that the process may use, and `--quiet`.
CommandOption& add_running(Command& command, int& threads);

/// The text of `--version`: version, compiler, instruction set, provider of the matrix products, format version.
std::string version_text();

}  // namespace mnemo
