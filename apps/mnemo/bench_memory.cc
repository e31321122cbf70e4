// mnemo bench memory: over how many steps cells learn to remember. Runs are independent of each other: threads take one
// run each, and a run's result depends on its settings alone.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "report/memory_report.h"
#include "train/memory_problems.h"

namespace mnemo {
namespace {

constexpr Index kLongestMemory = 100000;

struct MemoryOptions {
  std::vector<std::string> problems, cells;
  std::string lengths = "30,100", forget_bias = "1", initializer = "orthogonal", format = "text", output;
  std::optional<double> forget_range;
  std::int64_t steps = 5000, seeds = 3, hidden = 32, batch = 20;
  double rate = 0.01, clip = 1.0;
  int threads = 1;
};

std::atomic<int> memory_signal{0};

// The first signal ends the runs, and what was finished is reported; the second one ends the program at once.
void on_memory_signal(int signal) {
  memory_signal = signal;
  std::signal(signal, SIG_DFL);
}

std::vector<Index> memory_lengths(const std::string& text) {
  std::vector<Index> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    Index length = 0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, length);
    if (error != std::errc() || stop != text.data() + end || length < 1 || length > kLongestMemory)
      throw UsageError(fmt::format("--lengths: expected whole numbers from 1 to {}, such as 30,100, found \"{}\"",
                                   kLongestMemory, shown(text)));
    out.push_back(length);
    begin = end + 1;
  }
  return out;
}

// Its runs would be counted as further seeds.
template <class T>
void check_repeated(const char* option, const std::vector<T>& given) {
  for (const T& one : given)
    if (std::ranges::count(given, one) > 1) throw UsageError(fmt::format("{}: {} is given twice", option, one));
}

bool is_chrono(const MemoryOptions& o) { return o.forget_bias == "chrono"; }

float forget_bias_number(const MemoryOptions& o) {
  double value = 0;
  const char* const end = o.forget_bias.data() + o.forget_bias.size();
  const auto [stop, error] = std::from_chars(o.forget_bias.data(), end, value);
  if (error != std::errc() || stop != end || !(std::abs(value) <= 10))
    throw UsageError(
        fmt::format("--forget-bias: expected chrono or a number from -10 to 10, found \"{}\"", shown(o.forget_bias)));
  return static_cast<float>(value);
}

std::vector<std::string> memory_problems_of(const MemoryOptions& o) {
  return o.problems.empty() ? std::vector<std::string>{"order"} : o.problems;
}

// Of those that may be meant, rnn has no gate for chrono.
std::vector<std::string> memory_cells_of(const MemoryOptions& o) {
  if (!o.cells.empty()) return o.cells;
  std::vector<std::string> out{"lstm", "gru"};
  if (!is_chrono(o)) out.emplace_back("rnn");
  return out;
}

RecurrentOptions memory_layer(const MemoryOptions& o, const std::string& cell, Index length) {
  RecurrentOptions out{.cell = cell_kind(cell, {}), .hidden = o.hidden};
  out.initialiser = o.initializer == "orthogonal" ? Initialiser::kOrthogonal
                    : o.initializer == "glorot"   ? Initialiser::kGlorot
                                                  : Initialiser::kUniform;
  if (is_chrono(o))
    out.forget_range = std::max(2.0, o.forget_range.value_or(static_cast<double>(length)));
  else
    out.forget_bias = forget_bias_number(o);
  if (is_chrono(o) && !cell_traits(out.cell).forget)
    throw UsageError(fmt::format("--forget-bias chrono: the cell {} has neither a forget nor an update gate", cell));
  return out;
}

// One run of the benchmark, before and after.
struct MemoryTask {
  MemorySettings settings;
  MemoryResult result;
  bool finished = false;
};

std::vector<MemoryTask> memory_tasks(const MemoryOptions& o) {
  std::vector<MemoryTask> out;
  for (const std::string& name : memory_problems_of(o)) {
    const MemoryProblem problem = memory_problem(name);
    for (const Index length : memory_lengths(o.lengths)) {
      if (const Index shortest = memory_shape(problem).shortest; length < shortest)
        throw UsageError(fmt::format("--lengths {}: the problem {} has at least {}", length, name, shortest));
      for (const std::string& cell : memory_cells_of(o))
        for (std::int64_t seed = 1; seed <= o.seeds; ++seed) {
          MemoryTask& task = out.emplace_back();
          task.settings = {.problem = problem,
                           .length = length,
                           .batch = o.batch,
                           .layer = memory_layer(o, cell, length),
                           .steps = o.steps,
                           .learning_rate = o.rate,
                           .clip_norm = o.clip,
                           .seed = static_cast<std::uint64_t>(seed)};
          task.result = {problem, cell, length, static_cast<std::uint64_t>(seed), {}};
        }
    }
  }
  return out;
}

// Lines on standard error: one when a run ends, and where nothing ends one every ten seconds.
class MemoryProgress {
 public:
  explicit MemoryProgress(std::size_t runs) : runs_(runs), last_(Clock::now()) {}

  void step(const MemoryTask& task, std::int64_t step) {
    const std::scoped_lock lock(mutex_);
    if (Clock::now() - last_ < std::chrono::seconds(10)) return;
    print(fmt::format("{}: step {} of {}", name(task), step, task.settings.steps));
  }

  void end(const MemoryTask& task, double seconds) {
    const MemoryRun& run = task.result.run;
    const std::scoped_lock lock(mutex_);
    ++ended_;
    const std::string text = run.solved     ? fmt::format("solved after {} steps", *run.solved)
                             : run.diverged ? fmt::format("diverged after {} steps", run.steps)
                                            : fmt::format("not solved in {} steps", run.steps);
    print(fmt::format("{}: {}, loss {:.4f} of the baseline ({})", name(task), text, run.loss, duration_text(seconds)));
  }

 private:
  using Clock = std::chrono::steady_clock;

  static std::string name(const MemoryTask& task) {
    return fmt::format("{}, {}, length {}, seed {}",
                       memory_problem_names()[static_cast<std::size_t>(task.settings.problem)], task.result.cell,
                       task.settings.length, task.settings.seed);
  }

  void print(const std::string& text) {
    say(fmt::format("[{}/{}] {}", ended_, runs_, text));
    last_ = Clock::now();
  }

  std::mutex mutex_;
  std::size_t runs_, ended_ = 0;
  Clock::time_point last_;
};

void run_memory_task(MemoryTask& task, MemoryProgress& progress) {
  if (memory_signal) return;
  const auto start = std::chrono::steady_clock::now();
  task.result.run = run_memory_problem(task.settings, [&](std::int64_t step) {
    progress.step(task, step);
    return memory_signal == 0;
  });
  if (memory_signal) return;
  task.finished = true;
  progress.end(task, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

std::string memory_command(const MemoryOptions& o) {
  std::string out = "mnemo bench memory";
  for (const std::string& problem : memory_problems_of(o)) out += " --problem " + problem;
  for (const std::string& cell : memory_cells_of(o)) out += " --cell " + cell;
  out += fmt::format(
      " --lengths {} --steps {} --seeds {} --hidden {} --initializer {} --forget-bias {} --batch {} --rate {} "
      "--clip {}",
      o.lengths, o.steps, o.seeds, o.hidden, o.initializer, o.forget_bias, o.batch, o.rate, o.clip);
  if (o.forget_range) out += fmt::format(" --forget-range {}", *o.forget_range);
  return out;
}

MemoryReport memory_report(const MemoryOptions& o, const std::vector<MemoryTask>& tasks) {
  MemoryReport out;
  out.command = memory_command(o);
  out.settings = {{"steps", o.steps},
                  {"seeds", o.seeds},
                  {"hidden", o.hidden},
                  {"initializer", o.initializer},
                  {"forget_bias", is_chrono(o) ? Json("chrono") : Json(std::stod(o.forget_bias))}};
  if (is_chrono(o)) out.settings.emplace_back("forget_range", o.forget_range ? Json(*o.forget_range) : Json("length"));
  out.settings.insert(out.settings.end(), {{"batch", o.batch}, {"learning_rate", o.rate}, {"clip_norm", o.clip}});
  for (const MemoryTask& task : tasks)
    if (task.finished) out.results.push_back(task.result);
  return out;
}

int run_bench_memory(const MemoryOptions& o) {
  if (o.forget_range && !is_chrono(o)) throw UsageError("--forget-range: only with --forget-bias chrono");
  check_repeated("--problem", o.problems);
  check_repeated("--cell", o.cells);
  check_repeated("--lengths", memory_lengths(o.lengths));
  std::vector<MemoryTask> tasks = memory_tasks(o);
  // What cannot be written is known before the work.
  std::optional<AtomicFile> file;
  if (!o.output.empty()) file.emplace(o.output);
  std::signal(SIGINT, on_memory_signal);
  std::signal(SIGTERM, on_memory_signal);
  MemoryProgress progress(tasks.size());
  ThreadPool pool(o.threads);
  pool.parallel_for(static_cast<std::int64_t>(tasks.size()),
                    [&](std::int64_t i) { run_memory_task(tasks[static_cast<std::size_t>(i)], progress); });
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  const MemoryReport report = memory_report(o, tasks);
  const std::string out = o.format == "json"   ? memory_json(report).dump() + "\n"
                          : o.format == "html" ? memory_page(report)
                                               : memory_table(report);
  if (file) {
    file->write(out);
    file->commit();
  } else {
    put(out);
  }
  return memory_signal ? 128 + memory_signal : 0;
}

}  // namespace

void add_bench_memory(Command& bench) {
  Command& command = bench.add("memory", "train cells on problems that need memory over many steps");
  command.examples = {"mnemo bench memory",
                      "mnemo bench memory --cell lstm --lengths 30,70,100 --seeds 5 -f html -o memory.html",
                      "mnemo bench memory --problem adding --problem copy --forget-bias chrono -f json"};
  command.notes = fmt::format(
      "A recurrent layer with a dense output learns from sequences made up from the seed, each used once. order: which "
      "of X and Y came first and second among other symbols (Hochreiter & Schmidhuber 1997, experiment 6a). adding: "
      "the "
      "sum of two marked numbers. copy: ten symbols after a pause. parity: whether the number of ones is odd.\nA "
      "problem "
      "is solved once {} sequences in a row were answered right, each before it was trained on; for adding within {} "
      "of "
      "the sum. Training then ends. The baseline is the loss of the best answer that remembers nothing.",
      kSolvedAfter, kAddingTolerance);
  auto o = std::make_shared<MemoryOptions>();
  command.group("Problems");
  command.option("--problem", "", &o->problems, "Problem; may be given repeatedly")
      .one_of(memory_problem_names())
      .by_default("order");
  command.option("--lengths", "A,B,...", &o->lengths, "Lengths of the problems, in steps");
  command.option("--seeds", "N", &o->seeds, "Runs of each, with the seeds 1 to N").range(1, 1000);
  command.group("Network");
  command.option("--cell", "CELL", &o->cells, "Cell; may be given repeatedly")
      .one_of(cell_names())
      .by_default("lstm, gru and, without chrono, rnn");
  command.option("--hidden", "H", &o->hidden, "Hidden size").range(1, 4096);
  command.option("--initializer", "", &o->initializer, "Initialisation of the weights, as model.initializer")
      .one_of({"orthogonal", "glorot", "uniform"});
  command.option("--forget-bias", "X", &o->forget_bias,
                 "Added to the forget gate's initial bias, or chrono, as model.forget_bias");
  command.option("--forget-range", "R", &o->forget_range, "The longest range of chrono, in steps")
      .range(2, 1e6)
      .by_default("the problem's length");
  command.group("Training");
  command.option("--steps", "N", &o->steps, "Steps at most, of one batch each").range(1, 1e9);
  command.option("--batch", "B", &o->batch, "Sequences per batch").range(1, 1 << 16);
  command.option("--rate", "R", &o->rate, "Learning rate of Adam").range(0, 1000);
  command.option("--clip", "C", &o->clip, "Largest norm of the gradient; 0: any").range(0, 1e9);
  command.group("Output");
  command.option("-f,--format", "", &o->format, "Output format; html is a page of curves")
      .one_of({"text", "json", "html"});
  command.option("-o,--output", "FILE", &o->output, "Write the results here").by_default("standard output");
  add_running(command, o->threads);
  command.run = [o] { return run_bench_memory(*o); };
}

}  // namespace mnemo
