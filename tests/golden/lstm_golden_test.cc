// The LSTM against PyTorch: outputs, final states and every gradient, on every instruction set and for several numbers
// of threads.
#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "kernels/targets.h"
#include "nn/recurrent.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

constexpr float kTolerance = 2e-5f;

const SafetensorsFile& golden() {
  static const auto file = SafetensorsFile::read(MNEMO_SOURCE_DIR "/tests/golden/lstm.safetensors");
  return file;
}

class Case {
 public:
  explicit Case(int number) : prefix_("case" + std::to_string(number) + ".") {
    const auto* c = static_cast<const std::int32_t*>(golden().find(prefix_ + "config")->data);
    options = {.input = c[0], .hidden = c[1], .layers = c[2], .bidirectional = c[3] == 2};
    const auto* lengths_tensor = golden().find(prefix_ + "lengths");
    const auto* l = static_cast<const std::int32_t*>(lengths_tensor->data);
    lengths.assign(l, l + lengths_tensor->elements());
  }

  std::span<const float> floats(const std::string& name) const {
    const TensorView* tensor = golden().find(prefix_ + name);
    INFO(prefix_ + name);
    REQUIRE(tensor != nullptr);
    return tensor->floats();
  }

  Index directions() const { return options.bidirectional ? 2 : 1; }

  RecurrentOptions options;
  std::vector<std::int32_t> lengths;

 private:
  std::string prefix_;
};

// Rows that lie sequence after sequence in the file, into packed order or back.
void reorder_tokens(const Packing& packing, const std::vector<std::int32_t>& lengths, Index columns, const float* from,
                    float* to, bool pack) {
  std::vector<Index> starts{0};
  for (std::int32_t length : lengths) starts.push_back(starts.back() + length);
  for (Index t = 0; t < packing.steps(); ++t)
    for (Index b = 0; b < packing.rows_at(t); ++b) {
      const Index packed = packing.row(b, t), plain = starts[packing.original(b)] + t;
      std::copy_n(from + (pack ? plain : packed) * columns, columns, to + (pack ? packed : plain) * columns);
    }
}

void reorder_states(const Packing& packing, Index groups, Index columns, const float* from, float* to, bool pack) {
  const Index B = packing.sequences();
  for (Index g = 0; g < groups; ++g)
    for (Index b = 0; b < B; ++b) {
      const Index packed = g * B + b, plain = g * B + packing.original(b);
      std::copy_n(from + (pack ? plain : packed) * columns, columns, to + (pack ? packed : plain) * columns);
    }
}

void check_close(const std::string& what, std::span<const float> expected, const std::vector<float>& found) {
  INFO(what);
  REQUIRE(expected.size() == found.size());
  float worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    worst = std::max(worst, std::abs(expected[i] - found[i]) / std::max(1.0f, std::abs(expected[i])));
  CHECK(worst < kTolerance);
}

struct Result {
  std::vector<float> y, hn, cn, dx, dh0, dc0;
  std::map<std::string, std::vector<float>> parameters;
};

Result run(const Case& c, int threads, Tape::Mode mode) {
  const Index I = c.options.input, H = c.options.hidden, D = c.directions();
  Packing packing(c.lengths);
  const Index N = packing.tokens(), groups = c.options.layers * D, states = groups * packing.sequences();
  ThreadPool pool(threads);
  Arena arena;
  Tape tape(pool, arena, mode);
  Recurrent lstm("", c.options);
  lstm.visit([&](Parameter& p) {
    const auto value = c.floats(p.name.substr(1));
    std::copy(value.begin(), value.end(), p.value.data());
  });
  Activation x = tape.allocate(N, I);
  reorder_tokens(packing, c.lengths, I, c.floats("x").data(), x.value, true);
  RecurrentState initial{tape.allocate(states, H), tape.allocate(states, H)};
  reorder_states(packing, groups, H, c.floats("h0").data(), initial.h.value, true);
  reorder_states(packing, groups, H, c.floats("c0").data(), initial.c.value, true);
  const auto out = lstm.forward(tape, packing, x, &initial);
  Result r;
  const auto tokens = [&](const float* from, Index columns) {
    std::vector<float> to(N * columns);
    reorder_tokens(packing, c.lengths, columns, from, to.data(), false);
    return to;
  };
  const auto state = [&](const float* from) {
    std::vector<float> to(states * H);
    reorder_states(packing, groups, H, from, to.data(), false);
    return to;
  };
  r.y = tokens(out.y.value, D * H);
  r.hn = state(out.final.h.value);
  r.cn = state(out.final.c.value);
  if (mode == Tape::Mode::kInference) return r;
  reorder_tokens(packing, c.lengths, D * H, c.floats("gy").data(), out.y.gradient, true);
  reorder_states(packing, groups, H, c.floats("ghn").data(), out.final.h.gradient, true);
  reorder_states(packing, groups, H, c.floats("gcn").data(), out.final.c.gradient, true);
  tape.backward();
  r.dx = tokens(x.gradient, I);
  r.dh0 = state(initial.h.gradient);
  r.dc0 = state(initial.c.gradient);
  lstm.visit(
      [&](Parameter& p) { r.parameters[p.name.substr(1)].assign(p.gradient.data(), p.gradient.data() + p.size()); });
  return r;
}

}  // namespace

TEST_CASE("LSTM and BiLSTM give what PyTorch gives, forward and backward") {
  const int cases = std::stoi(golden().metadata().at("cases"));
  REQUIRE(cases >= 10);
  for (const std::string& target : kernels::available_targets()) {
    kernels::use_target(target);
    for (int number = 0; number < cases; ++number) {
      const Case c(number);
      for (int threads : {1, 2, 3}) {
        INFO(target << ", case " << number << ", " << threads << " threads");
        const Result r = run(c, threads, Tape::Mode::kTraining);
        check_close("y", c.floats("y"), r.y);
        check_close("hn", c.floats("hn"), r.hn);
        check_close("cn", c.floats("cn"), r.cn);
        check_close("grad.x", c.floats("grad.x"), r.dx);
        check_close("grad.h0", c.floats("grad.h0"), r.dh0);
        check_close("grad.c0", c.floats("grad.c0"), r.dc0);
        for (const auto& [name, gradient] : r.parameters)
          check_close("grad." + name, c.floats("grad." + name), gradient);
      }
    }
  }
  kernels::use_target(kernels::available_targets().front());
}

TEST_CASE("inference gives the very bits of training's forward pass, for any number of threads") {
  const int cases = std::stoi(golden().metadata().at("cases"));
  for (int number = 0; number < cases; ++number) {
    const Case c(number);
    const Result training = run(c, 1, Tape::Mode::kTraining);
    for (int threads : {1, 2, 3, 7}) {
      const Result again = run(c, threads, Tape::Mode::kTraining), inference = run(c, threads, Tape::Mode::kInference);
      CHECK(training.y == inference.y);
      CHECK(training.cn == inference.cn);
      CHECK(training.y == again.y);
      CHECK(training.dx == again.dx);
      CHECK(training.parameters == again.parameters);
    }
  }
}
