// mnemo inspect: prints the metadata and tensors of a model file, verifies its stored samples, or shows what its cells
// compute on a text.
#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include <fmt/ranges.h>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "checkpoint/format.h"
#include "checkpoint/model_file.h"
#include "kernels/product.h"
#include "nn/cell.h"
#include "pipeline/attribution.h"
#include "pipeline/text_model.h"
#include "report/attention_view.h"
#include "report/attribution_view.h"
#include "report/found_units.h"
#include "report/gates.h"
#include "report/gates_page.h"
#include "tasks/find.h"
#include "tasks/probe.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

struct InspectOptions {
  std::string model, data, format = "text";
  bool verify = false, gates = false, attention = false, saturation = false, gradient_flow = false, context = false;
  std::string text;
  DataOptions input;
  std::string find;
  Index places = 500, longest = 100;
  std::string beside;
  Index epochs = 0;
  std::string attribution, label;
  std::optional<int> place;
  struct {
    bool text = false, find = false, beside = false, label = false, output = false;
  } given;

  bool reads_data() const { return saturation || gradient_flow || context || !find.empty(); }
  bool reads_text() const { return gates || attention || !attribution.empty(); }
  bool looks() const { return reads_text() || reads_data(); }
  std::optional<int> layer;
  std::vector<std::string> units;
  std::string output;
  std::shared_ptr<AtomicFile> output_file;  // held from the start, so that what cannot be written is known before work
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
          {"columns", m.columns},
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
  if (d["columns"].empty()) line("labels", d["labels"]);
  for (const Json& column : d["columns"]) line("column", column);
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
  if (!(difference <= TextModel::kVerifyTolerance))
    fail("{}: not verified: a stored sample's probability differs by {:.3g}, expected at most {}", o.model, difference,
         TextModel::kVerifyTolerance);
  put(fmt::format("{}: verified, {} samples, largest difference {:.3g}\n", escaped(o.model),
                  model->metadata().self_test.size(), difference));
}

// Of a table of gates in a file.
constexpr std::size_t kFileColumns = 120;

// --unit, given several times.
std::vector<Index> unit_numbers(const std::vector<std::string>& given) {
  std::vector<Index> out;
  for (const std::string& one : given) {
    Index number = -1;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), number);
    if (error != std::errc() || end != one.data() + one.size() || number < 0)
      throw UsageError(fmt::format("--unit {}: expected a number from 0 on", escaped(one)));
    if (std::ranges::find(out, number) != out.end()) throw UsageError(fmt::format("--unit {}: is given twice", number));
    out.push_back(number);
  }
  return out;
}

void write(const InspectOptions& o, const std::string& out, std::vector<Highlight> highlights = {}) {
  if (no_colour()) highlights.clear();
  if (o.output.empty())
    put(out, highlights);
  else
    o.output_file->write(out);
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
  const std::string out = o.format == "json"   ? json_line(gates_json(observed, choice))
                          : o.format == "tsv"  ? gates_tsv(observed, choice)
                          : o.format == "svg"  ? gates_svg(observed, choice)
                          : o.format == "html" ? gates_html(observed, choice, "Gates of " + o.model)
                                               : gates_text(observed, choice, answer_columns(kFileColumns), highlights);
  write(o, out, std::move(highlights));
}

std::vector<std::string> listed_cells(const std::string& list) {
  std::vector<std::string> out;
  const auto& known = cell_names();
  for (std::size_t begin = 0; begin < list.size() + 1 && !list.empty();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    out.push_back(list.substr(begin, end - begin));
    if (std::ranges::count(out, out.back()) > 1)
      throw UsageError(fmt::format("--beside {}: {} is there twice", escaped(list), escaped(out.back())));
    if (std::ranges::find(known, out.back()) == known.end())
      throw UsageError(fmt::format("--beside {}: expected names of cells with commas between them: {}", escaped(list),
                                   fmt::join(known, ", ")));
    begin = end + 1;
  }
  return out;
}

// After the units that are searched, as a closing bracket may be there.
constexpr std::int64_t kUnitsAfter = 1000;

// What the options that read data find.
Findings findings_of(const InspectOptions& o) {
  ThreadPool pool(o.threads);
  const auto model = load_without_noise(o.model);
  model->prepare(pool);
  OpenRequest request = open_request(o.data, o.input, "data");
  if (!o.find.empty()) request.spelled = o.places * o.longest + kUnitsAfter;
  auto data = task_of(*model).open(request, *model);
  if (o.saturation)
    return saturation_over(*model, std::move(data), o.places * o.longest, pool).findings("Saturation of " + o.model);
  if (!o.find.empty()) {
    const FoundUnits found = find_units(*model, *data, UnitProperty(o.find), {o.places, o.longest}, pool);
    return found_findings(found, "Units of " + o.model + " that follow " + found.property);
  }
  if (o.context) return context_use(*model, *data, o.places, o.longest, "Context that " + o.model + " uses", pool);
  return gradient_flow(*model, std::move(data), o.places, o.longest, {listed_cells(o.beside), o.epochs},
                       "Gradients of " + o.model + " back in time", say, pool);
}

void write(const InspectOptions& o, const Findings& found) {
  std::vector<Highlight> highlights;
  const std::string out = o.format == "json"  ? findings_json(found)
                          : o.format == "tsv" ? findings_tsv(found)
                          : o.format == "svg" ? findings_svg(found)
                          : o.format == "html"
                              ? findings_html(found)
                              : findings_text(found, o.output.empty() && answers_in_colour(), highlights);
  write(o, out, std::move(highlights));
}

Findings attention_of(const InspectOptions& o) {
  ThreadPool pool(o.threads);
  const auto model = TextModel::load(o.model);
  model->prepare(pool);
  Workspace workspace(pool);
  return attention_findings(model->observe(o.text, workspace), "Attention of " + o.model);
}

Findings attribution_of(const InspectOptions& o) {
  ThreadPool pool(o.threads);
  const auto model = load_without_noise(o.model);
  model->prepare(pool);
  Workspace workspace(pool);
  AttributionTarget target;
  if (!o.label.empty()) target.label = o.label;
  if (o.place) target.place = *o.place;
  const auto attributed = model->attributed(o.text, target, workspace);
  AttributionOptions options;
  options.method = *attribution_method(o.attribution);
  const Attribution found = attribute(*attributed, options, pool);
  const AttributionView view{o.attribution, options.method == AttributionMethod::kIntegrated, o.text,
                             model->config().text.blanks_between_units()};
  return attribution_findings(found, view, "What weighs in the " + found.name);
}

// Options that are given as nothing, which is not the same as not to be given.
void check_empty(const InspectOptions& o) {
  struct Given {
    const char* name;
    bool given;
    const std::string& value;
    const char* expected;
  };
  for (const Given& one :
       {Given{"--text", o.given.text, o.text, "a text"},
        Given{"--find", o.given.find, o.find, "brackets, quotes, position, label:X or regex:R"},
        Given{"--beside", o.given.beside, o.beside, "names of cells with commas between them"},
        Given{"--label", o.given.label, o.label, "a label"}, Given{"--output", o.given.output, o.output, "a file"}})
    if (one.given && one.value.empty())
      throw UsageError(fmt::format("{}: is empty, expected {}", one.name, one.expected));
}

void check_options(const InspectOptions& o) {
  check_empty(o);
  if (o.reads_text() && o.text.empty()) throw UsageError("--gates, --attention and --attribution need --text");
  if (!o.reads_text() && !o.text.empty()) throw UsageError("--text needs --gates, --attention or --attribution");

  if (!o.looks() && o.format != "text" && o.format != "json")
    throw UsageError(fmt::format("--format {}: only with an option that looks inside", o.format));
  if (!o.looks() && !o.output.empty()) throw UsageError("--output: only with an option that looks inside");
  if (o.reads_data() && o.data.empty())
    throw UsageError("--saturation, --find, --gradient-flow and --context need DATA, a file or - for standard input");
  if (!o.reads_data() && !o.data.empty())
    throw UsageError(fmt::format("{}: DATA needs --saturation, --find, --gradient-flow or --context", escaped(o.data)));
  if (!o.find.empty()) UnitProperty{o.find};
  listed_cells(o.beside);
  unit_numbers(o.units);
  if (find_invalid_utf8(o.text)) throw UsageError("--text: is not valid UTF-8");
}

void look(InspectOptions o) {
  if (!o.output.empty()) o.output_file = std::make_shared<AtomicFile>(o.output);
  if (o.gates)
    show_gates(o);
  else
    write(o, !o.attribution.empty() ? attribution_of(o) : o.attention ? attention_of(o) : findings_of(o));
  if (o.output_file) o.output_file->commit();
}

int run_inspect(const InspectOptions& o) {
  check_options(o);
  if (o.looks()) {
    look(o);
    return 0;
  }
  if (o.verify) {
    verify(o);
    return 0;
  }
  const Json description = describe(o.model, read_model(o.model, ""));
  put(o.format == "json" ? json_line(description) : text_of(description));
  return 0;
}

// The options that look at a model over data.
void add_data_views(Command& command, InspectOptions& o) {
  command.group("Data");
  command.flag("--saturation", &o.saturation, "How often the gates of each unit are below 0.1 and above 0.9")
      .excludes({"--verify", "--find", "--gradient-flow", "--context"});
  command
      .option("--find", "PROPERTY", &o.find,
              "The units that follow a property best: brackets or quotes (being inside), position, label:X, or regex:R")
      .by_default("none")
      .sets_if_given(o.given.find)
      .excludes({"--verify", "--gradient-flow", "--context"});
  command
      .flag("--gradient-flow", &o.gradient_flow,
            "How far the gradient of each text's last step reaches back: its norm by lag, and the steps in which it "
            "halves")
      .excludes({"--verify", "--context"});
  command.option("--beside", "CELLS", &o.beside, "Also the same network with these cells, such as rnn,gru")
      .by_default("none")
      .sets_if_given(o.given.beside)
      .needs("--gradient-flow");
  command.option("--epochs", "N", &o.epochs, "Also after N epochs of training on DATA")
      .range(0, 1e6)
      .by_default("only as initialised")
      .needs("--beside");
  command
      .flag("--context", &o.context,
            "The loss by how many of the last units are read, of language models and classifiers")
      .excludes({"--verify"});
  command
      .option(
          "--places", "N", &o.places,
          "How much is looked at: N texts or, of a stream, N stretches of --longest units; for --context N texts or "
          "places of a stream; for --saturation about N times --longest units, in whole texts")
      .range(1, 1e9)
      .needs("DATA");
  command
      .option("--longest", "N", &o.longest,
              "The longest lag or context in units, or how many units of each text --find looks at")
      .range(2, 1e6)
      .needs("DATA");
  const std::size_t before = command.options.size();
  add_data_options(command, o.input, kDataFormats, "that of the model's training data");
  for (std::size_t i = before; i < command.options.size(); ++i) command.options[i].needs("DATA");
}

}  // namespace

void add_inspect(Command& program) {
  Command& command = program.add("inspect", "show the contents of a model file, or its cells at work");
  command.examples = {"mnemo inspect run/model.safetensors",
                      "mnemo inspect run/model.safetensors --verify",
                      "mnemo inspect run/model.safetensors -f json",
                      "mnemo inspect run/model.safetensors --gates --text \"Not bad at all.\" -f html -o gates.html",
                      "mnemo inspect run/model.safetensors --attribution integrated --text \"Not bad at all.\"",
                      "mnemo inspect run/model.safetensors dev.tsv --gradient-flow --beside rnn,gru"};
  auto o = std::make_shared<InspectOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("DATA", &o->data, "What the model is looked at on: a file as for `mnemo evaluate`")
      .by_default("none");
  command.group("Cells");
  command.flag("--gates", &o->gates, "Show gates and states of the recurrent layers at every unit of --text")
      .excludes({"--verify", "--saturation", "--find", "--gradient-flow", "--context", "--attribution"});
  command.option("--text", "TEXT", &o->text, "What the model reads").sets_if_given(o->given.text);
  command.option("--layer", "L", &o->layer, "Only this layer, from 0 on").range(0, 1e9).needs("--gates");
  command.option("--unit", "U", &o->units, "Only this unit of a layer, from 0 on; may be given repeatedly")
      .by_default("text: the 8 whose output varies most, else all")
      .needs("--gates");
  command.group("Attention and attribution");
  command
      .flag(
          "--attention", &o->attention,
          "What a translator's units, a classifier that pools by attention, or a block of self-attention attend to in "
          "--text")
      .excludes({"--verify", "--gates", "--attribution", "--saturation", "--find", "--gradient-flow", "--context"});
  command
      .option("--attribution", "METHOD", &o->attribution,
              "How much each unit of --text weighs: gradient times input, integrated gradients, or occlusion")
      .one_of({"gradient", "integrated", "occlusion"})
      .by_default("none")
      .excludes({"--verify", "--saturation", "--find", "--gradient-flow", "--context"});
  command.option("--label", "L", &o->label, "Of a classifier: the label whose logit is asked about")
      .by_default("the most probable")
      .sets_if_given(o->given.label)
      .needs("--attribution");
  command
      .option(
          "--place", "N", &o->place,
          "Of a tagger: a token, from 0 on, and the predicted span that has it; of a language model: the unit whose "
          "log p is asked about, as tables number them: from 1 on, as a line begins with the end of another")
      .range(0, 1e9)
      .by_default("a tagger's first span, the last unit")
      .needs("--attribution");
  add_data_views(command, *o);
  command.group("Output");
  command.flag("--verify", &o->verify, "Recompute the stored samples and compare with their stored probabilities")
      .excludes({"--format"});
  command.option("-f,--format", "", &o->format, "Output format").one_of({"text", "tsv", "json", "svg", "html"});
  command.option("-o,--output", "FILE", &o->output, "Write what was found here")
      .by_default("standard output")
      .sets_if_given(o->given.output);
  add_running(command, o->threads);
  command.run = [o] { return run_inspect(*o); };
}

}  // namespace mnemo
