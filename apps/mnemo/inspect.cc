// mnemo inspect: prints the metadata and tensors of a model file, verifies its stored samples, or shows what its cells
// compute on a text.
#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "checkpoint/format.h"
#include "checkpoint/model_file.h"
#include "kernels/product.h"
#include "pipeline/text_model.h"
#include "report/gates.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Probabilities of the stored samples may differ by this between instruction sets, whose sums round differently.
constexpr double kVerifyTolerance = 1e-4;

struct InspectOptions {
  std::string model, format = "text";
  bool verify = false, gates = false;
  std::string text;
  std::optional<int> layer;
  std::vector<std::string> units;
  std::string output;
  int threads = 1;
};

Json describe(const std::string& path, const ModelContents& contents) {
  const ModelMetadata& m = contents.metadata;
  std::int64_t parameters = 0, bytes = 0;
  Json tensors = Json::array();
  for (const TensorView& t : contents.file.tensors()) {
    tensors.push_back({{"name", t.name}, {"type", dtype_name(t.dtype)}, {"shape", t.shape}, {"bytes", t.bytes}});
    bytes += static_cast<std::int64_t>(t.bytes);
    const bool scale = t.name.ends_with(format::kScaleSuffix);
    if (t.dtype != DType::kU8 && !scale) parameters += t.elements();
  }
  return {{"model", path},
          {"task", m.task},
          {"precision", kernels::precision_name(m.precision)},
          {"labels", m.labels},
          {"parameters", parameters},
          {"tensor_bytes", bytes},
          {"metrics", m.metrics},
          {"calibration", m.calibration},
          {"provenance", m.provenance},
          {"config", m.config},
          {"tensors", tensors}};
}

// Names and values as lines of text, escaped, since the content of a model file is not trusted.
std::string plain(const Json& value) { return escaped(value.is_string() ? value.get<std::string>() : value.dump()); }

std::string text_of(const Json& d) {
  std::string out;
  const auto line = [&](const char* name, const Json& value) { out += fmt::format("{:<14} {}\n", name, plain(value)); };
  const auto table = [&](const char* title, const Json& object) {
    out += fmt::format("\n{}\n", title);
    for (const auto& [name, value] : object.items())
      out += fmt::format("  {:<22} {}\n", escaped(name), escaped(value.dump()));
  };
  line("model", d["model"]);
  line("task", d["task"]);
  line("labels", d["labels"]);
  line("parameters", d["parameters"]);
  line("precision", d["precision"]);
  out += fmt::format("{:<14} {:.1f} MB of tensors\n", "size", d["tensor_bytes"].get<double>() * 1e-6);
  line("calibration", d["calibration"]);
  table("on dev", d["metrics"]);
  table("provenance", d["provenance"]);
  out += "\ntensors\n";
  for (const Json& t : d["tensors"])
    out += fmt::format("  {:<30} {:<4} {:<16} {:>12} bytes\n", plain(t["name"]), plain(t["type"]), t["shape"].dump(),
                       t["bytes"].get<std::int64_t>());
  out += "\nconfiguration\n";
  const std::string config = d["config"].dump(2);
  for (std::size_t begin = 0; begin < config.size();) {
    const std::size_t end = std::min(config.find('\n', begin), config.size());
    out += escaped(config.substr(begin, end - begin)) + "\n";
    begin = end + 1;
  }
  return out;
}

void verify(const InspectOptions& o) {
  ThreadPool pool(o.threads);
  const auto model = TextModel::load(o.model);
  const double difference = model->verify(pool);
  if (!(difference <= kVerifyTolerance))
    fail("{}: not verified: a stored sample's probability differs by {:.3g}, expected at most {}", o.model, difference,
         kVerifyTolerance);
  put(fmt::format("{}: verified, {} samples, largest difference {:.3g}\n", escaped(o.model),
                  model->metadata().self_test.size(), difference));
}

constexpr std::size_t kTableWidth = 120;

// --unit, given several times.
std::vector<Index> unit_numbers(const std::vector<std::string>& given) {
  std::vector<Index> out;
  for (const std::string& one : given) {
    Index number = -1;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), number);
    if (error != std::errc() || end != one.data() + one.size() || number < 0)
      throw UsageError(fmt::format("--unit {}: expected a number from 0 on", escaped(one)));
    out.push_back(number);
  }
  return out;
}

void show_gates(const InspectOptions& o) {
  ThreadPool pool(o.threads);
  const auto model = TextModel::load(o.model);
  model->prepare(pool);
  Workspace workspace(pool);
  const Observed observed = model->observe(o.text, workspace);
  GateChoice choice{std::nullopt, unit_numbers(o.units)};
  if (o.layer) choice.layer = *o.layer;
  std::vector<Highlight> highlights;
  const std::string out = o.format == "json"
                              ? gates_json(observed, choice).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"
                          : o.format == "tsv" ? gates_tsv(observed, choice)
                                              : gates_text(observed, choice, kTableWidth, highlights);
  if (no_colour()) highlights.clear();
  if (o.output.empty())
    put(out, highlights);
  else
    write_file(o.output, out);
}

void check_options(const InspectOptions& o) {
  if (!o.gates && o.format == "tsv") throw UsageError("--format tsv needs --gates");
  if (find_invalid_utf8(o.text)) throw UsageError("--text: is not valid UTF-8");
}

int run_inspect(const InspectOptions& o) {
  check_options(o);
  if (o.gates) {
    show_gates(o);
    return 0;
  }
  if (o.verify) {
    verify(o);
    return 0;
  }
  const Json description = describe(o.model, read_model(o.model, ""));
  put(o.format == "json" ? description.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"
                         : text_of(description));
  return 0;
}

}  // namespace

void add_inspect(Command& program) {
  Command& command = program.add("inspect", "show the contents of a model file, or its gates at work on a text");
  command.examples = {"mnemo inspect run/model.safetensors", "mnemo inspect run/model.safetensors --verify",
                      "mnemo inspect run/model.safetensors -f json",
                      "mnemo inspect run/model.safetensors --gates --text \"Not bad at all.\" --layer 0 --unit 7"};
  auto o = std::make_shared<InspectOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.group("Cells");
  command.flag("--gates", &o->gates, "Show gates and states of the recurrent layers at every unit of --text")
      .needs("--text")
      .excludes({"--verify"});
  command.option("--text", "TEXT", &o->text, "What the model reads").needs("--gates");
  command.option("--layer", "L", &o->layer, "Only this layer, from 0 on").range(0, 1e9).needs("--gates");
  command.option("--unit", "U", &o->units, "Only this unit of a layer, from 0 on; may be given repeatedly")
      .by_default("text: the 8 whose output varies most, else all")
      .needs("--gates");
  command.group("Output");
  command.flag("--verify", &o->verify, "Recompute the stored samples and compare with their stored probabilities");
  command.option("-f,--format", "", &o->format, "Output format").one_of({"text", "tsv", "json"});
  command.option("-o,--output", "FILE", &o->output, "Write the gates here")
      .by_default("standard output")
      .needs("--gates");
  add_running(command, o->threads);
  command.run = [o] { return run_inspect(*o); };
}

}  // namespace mnemo
