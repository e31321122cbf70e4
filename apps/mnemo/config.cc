// mnemo config: check, print, schema, explain.
#include <fmt/ranges.h>

#include <memory>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/shown.h"
#include "config/options.h"
#include "pipeline/network_options.h"

namespace mnemo {
namespace {

struct ConfigOptions {
  int threads = 1;  // accepted, as by every command, but without effect
  std::string file, key, format = "text";
  std::vector<std::string> sets;
};

void add_file(Command& command, ConfigOptions& o) {
  command.argument("CONFIG.json", &o.file, "Configuration file (JSON)").required();
  command.group("Configuration");
  command.option("-s,--set", "KEY=VALUE", &o.sets, "Override a key; may be given repeatedly");
  add_running(command, o.threads).hidden();
}

int run_explain(const ConfigOptions& o) {
  put(explain(o.key, o.format == "markdown"));
  return 0;
}

}  // namespace

void add_config(Command& program) {
  Command& command = program.add("config", "check, print and explain configurations");
  command.examples = {"mnemo config check my.json", "mnemo config explain training",
                      "mnemo config print my.json --set training.epochs=3", "mnemo config schema > mnemo.schema.json"};
  auto o = std::make_shared<ConfigOptions>();
  Command& check = command.add("check", "check a configuration and list all its errors");
  check.examples = {"mnemo config check my.json"};
  add_file(check, *o);
  check.run = [o] {
    load_model_config(o->file, o->sets);
    put(escaped(o->file) + ": valid\n");
    return 0;
  };
  Command& print = command.add("print", "print the whole configuration, with the defaults filled in");
  print.examples = {"mnemo config print my.json --set training.epochs=3"};
  add_file(print, *o);
  print.run = [o] {
    const Config config = load_model_config(o->file, o->sets);
    put(config_to_json(config).dump(2) + "\n");
    if (!config.by_size.empty()) say(fmt::format("left to the size of train: {}", fmt::join(config.by_size, ", ")));
    return 0;
  };
  Command& schema = command.add("schema", "print the JSON Schema, for editors");
  schema.examples = {"mnemo config schema > mnemo.schema.json"};
  schema.run = [] {
    put(config_schema().dump(2) + "\n");
    return 0;
  };
  Command& explained = command.add("explain", "explain a key, a section, or all keys");
  explained.examples = {"mnemo config explain training.epochs", "mnemo config explain text",
                        "mnemo config explain --format markdown > configuration.md"};
  explained.argument("KEY", &o->key, "Key or section, such as training.epochs or text").by_default("all");
  explained.group("Output");
  explained.option("-f,--format", "", &o->format, "Output format").one_of({"text", "markdown"});
  explained.run = [o] { return run_explain(*o); };
}

}  // namespace mnemo
