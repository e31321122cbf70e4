// mnemo bench: one recurrent layer alone, in per cent of the processor's peak. Only the operations of the matrix
// products count, and the peak is measured in the same process, right before and after the layer, by a loop of fused
// multiply-adds: so the figure allows for the machine's state and clock at that moment.
#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/shown.h"
#include "kernels/product.h"
#include "kernels/targets.h"
#include "nn/convolution.h"
#include "nn/recurrent.h"
#include "nn/session.h"

namespace mnemo {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string cell = "lstm", activation = "tanh", lengths, mode = "train", format = "text", target,
              precision = "float32";
  Index batch = 32, steps = 64, input = 256, hidden = 256, layers = 1, projection = 0, repeat = 21;
  std::string mogrifier, self_attention, convolution;
  bool bidirectional = false, layer_norm = false, reset_before = false;
  int threads = 1;
};

// All sequences `steps` long, or lengths from A to B evenly spread.
std::vector<std::int32_t> sequence_lengths(const BenchOptions& o) {
  if (o.lengths.empty()) return std::vector<std::int32_t>(o.batch, static_cast<std::int32_t>(o.steps));
  constexpr int kLongest = 1 << 20;
  int first = 0, last = 0;
  char end = 0;
  // At most eight digits each, which an int holds.
  if (std::sscanf(o.lengths.c_str(), "%8d..%8d%c", &first, &last, &end) != 2 || first < 1 || last < first ||
      last > kLongest)
    throw UsageError(fmt::format("--lengths {}: expected A..B with 1 <= A <= B <= {}", o.lengths, kLongest));
  std::vector<std::int32_t> lengths;
  for (Index b = 0; b < o.batch; ++b)
    lengths.push_back(o.batch == 1 ? last : first + static_cast<std::int32_t>((last - first) * b / (o.batch - 1)));
  return lengths;
}

// Within the bounds of model.mogrifier.rounds and model.mogrifier.rank.
MogrifierOptions mogrifier_options(const BenchOptions& o) {
  if (o.mogrifier.empty()) return {};
  constexpr int kMostRounds = 16, kMostRank = 4096;
  int rounds = 0, rank = 0;
  char end = 0;
  if (std::sscanf(o.mogrifier.c_str(), "%8d,%8d%c", &rounds, &rank, &end) != 2 || rounds < 1 || rounds > kMostRounds ||
      rank < 1 || rank > kMostRank)
    throw UsageError(fmt::format("--mogrifier {}: expected ROUNDS,RANK with 1 <= ROUNDS <= {} and 1 <= RANK <= {}",
                                 escaped(o.mogrifier), kMostRounds, kMostRank));
  return {rounds, rank};
}

// Within the bounds of model.self_attention.memory; "all": every step sees its whole sequence.
SelfAttentionOptions attention_options(const BenchOptions& o) {
  if (o.self_attention.empty()) return {};
  if (o.self_attention == "all") return {.layer = o.layers};
  constexpr int kMostMemory = 65536;
  int memory = 0;
  char end = 0;
  if (std::sscanf(o.self_attention.c_str(), "%8d%c", &memory, &end) != 1 || memory < 1 || memory > kMostMemory)
    throw UsageError(
        fmt::format("--self-attention {}: expected 1 to {}, or all", escaped(o.self_attention), kMostMemory));
  return {.layer = o.layers, .memory = memory};
}

// Widths between commas and the filters of each after an x, within the bounds of model.convolution.
ConvolutionOptions convolution_options(const BenchOptions& o) {
  if (o.convolution.empty()) return {};
  constexpr int kMostWidth = 31, kMostFilters = 4096;
  const auto bad = [&] {
    return UsageError(
        fmt::format("--convolution {}: expected WIDTH[,WIDTH]...xFILTERS with 1 <= WIDTH <= {} and 1 <= FILTERS <= {}",
                    escaped(o.convolution), kMostWidth, kMostFilters));
  };
  ConvolutionOptions out;
  const char* rest = o.convolution.c_str();
  for (char after = ','; after == ',';) {
    int width = 0, read = 0;
    if (std::sscanf(rest, "%8d%c%n", &width, &after, &read) != 2 || width < 1 || width > kMostWidth ||
        (after != ',' && after != 'x'))
      throw bad();
    out.widths.push_back(width);
    rest += read;
  }
  int filters = 0;
  char end = 0;
  if (std::sscanf(rest, "%8d%c", &filters, &end) != 1 || filters < 1 || filters > kMostFilters) throw bad();
  out.filters = filters;
  return out;
}

RecurrentOptions layer_options(const BenchOptions& o) {
  return {
      .cell = cell_kind(o.cell, {o.layer_norm, !o.reset_before, o.activation == "relu"}),
      .input = o.input,
      .hidden = o.hidden,
      .layers = o.layers,
      .bidirectional = o.bidirectional,
      .projection = o.projection,
      .mogrifier = mogrifier_options(o),
      .attention = attention_options(o),
      .precision = *kernels::inference_precision(o.precision),
      .training_precision = o.precision == "bfloat16" ? kernels::Precision::kBfloat16 : kernels::Precision::kFloat32};
}

// Steps that all steps of a run see through a block of self-attention, themselves included.
double seen_steps(const BenchOptions& o) {
  const SelfAttentionOptions attention = attention_options(o);
  const auto most = static_cast<double>(attention.memory + 1);
  if (attention.layer == 0) return 0;
  if (o.mode == "step") return static_cast<double>(o.batch) * most;
  double sum = 0;
  for (const std::int32_t length : sequence_lengths(o)) {
    if (!attention.causal()) {
      sum += static_cast<double>(length) * static_cast<double>(length);
      continue;
    }
    const double few = std::min(static_cast<double>(length), most);
    sum += few * (few + 1) / 2 + (static_cast<double>(length) - few) * most;
  }
  return sum;
}

// Operations of the matrix products alone: 2 G H (I + P) for each token, layer and direction, and 2 H P more with a
// projection; with a mogrifier 2 K (I + P) for each round of rank K; with self-attention over Y = D P outputs 2 Y^2 for
// a token's query and 4 Y for each step that it sees, whose score and share are products; with convolutions 2 F w I for
// each width w; three times that in training. A cell whose gates do not see the state has only the input's product.
double products_flop(const BenchOptions& o, Index tokens, double seen) {
  const RecurrentOptions options = layer_options(o);
  const auto H = static_cast<double>(o.hidden), P = static_cast<double>(options.output()),
             D = static_cast<double>(options.directions());
  double sum = 0;
  for (Index l = 0; l < o.layers; ++l) {
    const Index inputs = l == 0 ? o.input : options.directions() * options.output();
    const CellTraits& cell = layer_cell(options, inputs);
    const double input = static_cast<double>(cell.gates) * static_cast<double>(inputs);
    sum += 2.0 * D * H * (input + static_cast<double>(cell.hidden_gates) * P + (o.projection > 0 ? P : 0.0));
    sum += 2.0 * D * static_cast<double>(options.mogrifier.rounds * options.mogrifier.rank) *
           (static_cast<double>(inputs) + P);
  }
  const double outputs = D * P;
  if (options.attention.layer > 0) sum += 2.0 * outputs * outputs;
  const ConvolutionOptions convolution = convolution_options(o);
  for (const Index width : convolution.widths)
    sum += 2.0 * static_cast<double>(convolution.filters) * static_cast<double>(width) * static_cast<double>(o.input);
  return (sum * static_cast<double>(tokens) + 4.0 * outputs * seen) * (o.mode == "train" ? 3.0 : 1.0);
}

// Bytes of all weights that a step multiplies by.
double weight_bytes(const BenchOptions& o) {
  return products_flop(o, 1, 0) / 2.0 *
         static_cast<double>(kernels::precision_bytes(*kernels::inference_precision(o.precision)));
}

// The operations of all threads over the time from the first one's start to the last one's end, so that threads which
// share a core share its peak; GFLOP/s, the best of five.
double measure_peak(int threads) {
  constexpr double kMilliseconds = 20;
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::vector<double> flop(threads);
    std::vector<std::thread> others;
    const auto start = Clock::now();
    for (int i = 1; i < threads; ++i) others.emplace_back([&, i] { flop[i] = kernels::multiply_adds(kMilliseconds); });
    flop[0] = kernels::multiply_adds(kMilliseconds);
    for (auto& other : others) other.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, std::accumulate(flop.begin(), flop.end(), 0.0) / seconds * 1e-9);
  }
  return best;
}

// A step is too little work for more than one thread.
int threads_of(const BenchOptions& o) { return o.mode == "step" ? 1 : o.threads; }

class LayerBench {
 public:
  explicit LayerBench(const BenchOptions& o)
      : options_(o),
        lengths_(sequence_lengths(o)),
        packing_(lengths_),
        pool_(threads_of(o)),
        layer_("bench", layer_options(o)),
        convolution_("convolution", convolution_options(o), o.input) {
    layer_.initialise(1);
    convolution_.initialise(layer_options(o).initialiser, 1);
    convolution_.set_precision(layer_options(o).precision);
    RandomStream random(1, Purpose::kBench);
    x_.resize(packing_.tokens() * o.input);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<float>(random.normal());
    if (o.mode == "step") {
      layer_.prepare(pool_);
      session_.emplace(layer_, o.batch);
    }
  }

  /// Tokens of one run.
  Index tokens() const { return session_ ? options_.batch : packing_.tokens(); }

  void run() {
    if (session_) {
      session_->step(x_.data() + step_++ % options_.steps * options_.batch * options_.input);
      return;
    }
    const bool training = options_.mode == "train";
    arena_.reset();
    Tape tape(pool_, arena_, training ? Tape::Mode::kTraining : Tape::Mode::kInference);
    Activation x{x_.data(), nullptr, packing_.tokens(), options_.input};
    if (training) {
      x.gradient = arena_.allocate(x.size());
      fill(x.gradient, x.size(), 0.0f);
      layer_.weights_changed();
      convolution_.weights_changed();
    }
    const auto out = layer_.forward(tape, packing_, x);
    const Activation beside = convolve(tape, x);
    if (!training) return;
    fill(out.y.gradient, out.y.size(), 1.0f);
    if (beside.value) fill(beside.gradient, beside.size(), 1.0f);
    tape.backward();
  }

 private:
  // On all threads, as the layers around this one would write it.
  void fill(float* to, Index count, float value) {
    constexpr Index kBlock = 1 << 14;
    pool_.parallel_for((count + kBlock - 1) / kBlock, [&](std::int64_t i) {
      std::fill(to + i * kBlock, to + std::min(count, (i + 1) * kBlock), value);
    });
  }

  Activation convolve(Tape& tape, const Activation& x) {
    if (options_.convolution.empty()) return {};
    convolution_.prepare(tape);
    return convolution_.forward(tape, packing_, x);
  }

  BenchOptions options_;
  std::vector<std::int32_t> lengths_;
  Packing packing_;
  ThreadPool pool_;
  Arena arena_;
  Recurrent layer_;
  Convolution convolution_;                  // beside the layer
  std::optional<RecurrentSession> session_;  // in mode step, where a run is one step of all sequences
  Index step_ = 0;
  AlignedVector x_;
};

double quantile(const std::vector<double>& sorted, double q) {
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(q * static_cast<double>(sorted.size())))];
}

void check_options(const BenchOptions& o) {
  if (!o.mogrifier.empty() && !cell_traits(layer_options(o).cell).takes_mogrifier())
    throw UsageError("--mogrifier: only for an lstm and its variants, whose gates see the state, not " + o.cell);
  if (const auto conflicts = recurrent_conflicts(layer_options(o)); !conflicts.empty())
    throw UsageError("--" + conflicts.front());
  if (o.layer_norm && o.cell != "lstm") throw UsageError("--layer-norm: only for the cell lstm, not " + o.cell);
  if (o.reset_before && o.cell != "gru") throw UsageError("--reset-before: only for the cell gru, not " + o.cell);
  if (o.activation != "tanh" && o.cell != "rnn") throw UsageError("--activation: only for the cell rnn, not " + o.cell);
  const SelfAttentionOptions attention = attention_options(o);
  if (attention.causal() && o.bidirectional)
    throw UsageError("--self-attention: takes one direction, or with both of them all steps: --self-attention all");
  if (o.mode == "step" && o.bidirectional) throw UsageError("--mode step: takes one direction");
  if (o.mode == "step" && attention.layer > 0 && !attention.causal())
    throw UsageError("--mode step: takes --self-attention with a number of steps, not all");
  if (o.mode == "step" && !o.convolution.empty())
    throw UsageError("--mode step: takes no --convolution, which sees later steps");
  if (o.mode == "step" && !o.lengths.empty()) throw UsageError("--mode step: takes --steps, not --lengths");
  if (o.mode == "train" && o.precision == "int8")
    throw UsageError("--precision int8: only in the modes infer and step");
  if (o.mode == "train" && o.precision == "bfloat16")
    if (const std::string reason = kernels::no_bfloat16_products(); !reason.empty())
      throw UsageError("--precision bfloat16: " + reason);
}

struct Timing {
  std::vector<double> seconds;  // of each repetition, sorted
  double peak = 0;              // GFLOP/s
  Index tokens = 0;
};

Timing measure(const BenchOptions& o) {
  LayerBench bench(o);
  for (int warm = 0; warm < (o.mode == "step" ? 100 : 1); ++warm) bench.run();
  Timing out;
  out.peak = measure_peak(threads_of(o));
  for (Index i = 0; i < o.repeat; ++i) {
    const auto start = Clock::now();
    bench.run();
    out.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  // Measured before and after, as a disturbance during one measurement may be over by the other.
  out.peak = std::max(out.peak, measure_peak(threads_of(o)));
  std::sort(out.seconds.begin(), out.seconds.end());
  out.tokens = bench.tokens();
  return out;
}

Json record_of(const BenchOptions& o, const Timing& t) {
  const double median = quantile(t.seconds, 0.5), gflops = products_flop(o, t.tokens, seen_steps(o)) / median * 1e-9;
  Json record{{"cell", o.cell},           {"mode", o.mode},
              {"precision", o.precision}, {"target", kernels::current_target()},
              {"threads", threads_of(o)}, {"batch", o.batch}};
  if (o.lengths.empty())
    record["steps"] = o.steps;
  else
    record["lengths"] = o.lengths;
  record.update({{"input", o.input},
                 {"hidden", o.hidden},
                 {"layers", o.layers},
                 {"projection", o.projection},
                 {"layer_norm", o.layer_norm},
                 {"bidirectional", o.bidirectional},
                 {"repeat", o.repeat},
                 {"peak_gflops", t.peak},
                 {"gflops", gflops},
                 {"percent_of_peak", 100.0 * gflops / t.peak},
                 {"tokens_per_s", static_cast<double>(t.tokens) / median},
                 {"median_ms", median * 1e3},
                 {"p99_ms", quantile(t.seconds, 0.99) * 1e3},
                 {"spread", (quantile(t.seconds, 0.75) - quantile(t.seconds, 0.25)) / median}});
  if (!o.mogrifier.empty()) record["mogrifier"] = o.mogrifier;
  if (const auto attention = attention_options(o); attention.causal())
    record["self_attention"] = attention.memory;
  else if (attention.layer > 0)
    record["self_attention"] = o.self_attention;
  if (!o.convolution.empty()) record["convolution"] = o.convolution;
  if (o.cell == "gru") record["reset_after"] = !o.reset_before;
  if (o.cell == "rnn") record["activation"] = o.activation;
  if (o.mode == "step") record["weight_gbytes_per_s"] = weight_bytes(o) / median * 1e-9;
  return record;
}

int run_bench(const BenchOptions& o) {
  if (!o.target.empty()) kernels::use_target(o.target);
  check_options(o);
  const Json record = record_of(o, measure(o));
  if (o.format == "json") {
    put(record.dump() + "\n");
  } else {
    std::string out;
    for (const auto& [key, value] : record.items())
      out += fmt::format("{:<16} {}\n", key,
                         value.is_number_float() ? fmt::format("{:.4g}", value.get<double>())
                         : value.is_string()     ? value.get<std::string>()
                                                 : value.dump());
    put(out);
  }
  return 0;
}

}  // namespace

void add_bench(Command& program) {
  Command& command = program.add("bench", "measure one recurrent layer against the processor's peak");
  command.examples = {"mnemo bench lstm --batch 32 --steps 64 --input 256 --hidden 256 --mode train",
                      "mnemo bench lstm --batch 32 --lengths 1..64 --bidirectional --mode infer",
                      "mnemo bench gru --mode step --precision int8 -f json"};
  auto o = std::make_shared<BenchOptions>();
  auto repeat_given = std::make_shared<bool>(false);
  constexpr double kMost = 1 << 20;
  command.argument("CELL", &o->cell, "The cell").one_of(cell_names());
  command.group("Layer");
  command.option("--input", "I", &o->input, "Input size").range(1, kMost);
  command.option("--hidden", "H", &o->hidden, "Hidden size of one direction").range(1, kMost);
  command.option("--layers", "L", &o->layers, "Layers").range(1, 64);
  command.flag("--bidirectional", &o->bidirectional, "Both directions");
  command.flag("--layer-norm", &o->layer_norm, "lstm: layer normalisation");
  command.flag("--reset-before", &o->reset_before, "gru: the reset gate before the product");
  command.option("--activation", "", &o->activation, "rnn: activation function").one_of({"tanh", "relu"});
  command.option("--projection", "P", &o->projection, "lstm: output size after a projection")
      .range(1, kMost)
      .by_default("none");
  command
      .option("--mogrifier", "ROUNDS,RANK", &o->mogrifier,
              "lstm and its variants: rounds in which input and output gate each other before a step")
      .by_default("none");
  command
      .option("--self-attention", "M", &o->self_attention,
              "A block of self-attention after the last layer, which sees M steps before each; all: all steps")
      .by_default("none");
  command
      .option("--convolution", "WIDTHSxF", &o->convolution,
              "Convolutions of the input beside the layer, F filters of each width: 2,3,4x100")
      .by_default("none");
  command.group("Work");
  command
      .option("--mode", "", &o->mode,
              "train: forward and backward; infer: forward; step: one step, state carried, on one thread")
      .one_of({"train", "infer", "step"});
  command.option("--batch", "B", &o->batch, "Sequences per batch").range(1, kMost);
  command.option("--steps", "T", &o->steps, "Length of every sequence, in steps").range(1, kMost);
  command.option("--lengths", "A..B", &o->lengths, "Lengths from A to B, evenly spread").excludes({"--steps"});
  command
      .option("--precision", "", &o->precision,
              "Precision of the products: bfloat16 rounds both factors in training, only the weights in inference and "
              "steps; int8 rounds both")
      .one_of({"float32", "bfloat16", "int8"});
  command.option("-n,--repeat", "N", &o->repeat, "Runs, whose median is reported")
      .range(1, 10000000)
      .sets_if_given(*repeat_given)
      .by_default("21; 5000 with --mode step");
  command.option("--target", "NAME", &o->target, "Instruction set to force, one of those that --version lists")
      .by_default("the best available");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "Output format").one_of({"text", "json"});
  add_running(command, o->threads);
  command.run = [o, repeat_given] {
    if (o->mode == "step" && !*repeat_given) o->repeat = 5000;
    return run_bench(*o);
  };
  add_bench_memory(command);
}

}  // namespace mnemo
