// The recurrent layers compared with PyTorch: outputs, final states and every gradient, on every instruction set and
// for several numbers of threads; and with ONNX Runtime in the forms that PyTorch lacks.
#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "kernels/targets.h"
#include "nn/recurrent.h"
#include "tests/catch.h"
#include "tests/places.h"

using namespace mnemo;

namespace {

constexpr float kTolerance = 2e-5f;

SafetensorsFile golden(const std::string& name) {
  return SafetensorsFile::read(source_folder() + "/tests/golden/" + name + ".safetensors");
}

// The cell of PyTorch's name, which the file stores as character codes.
CellKind cell_of(const TensorView* kind) {
  if (!kind) return CellKind::kLstm;
  const auto* letters = static_cast<const std::int32_t*>(kind->data);
  const std::string name(letters, letters + kind->elements());
  for (CellKind cell : all_cells())
    if (name == cell_traits(cell).name) return cell;
  FAIL("no cell " << name);
  return CellKind::kLstm;
}

class Case {
 public:
  Case(const SafetensorsFile& file, int number) : file_(file), prefix_("case" + std::to_string(number) + ".") {
    const auto* config = file.find(prefix_ + "config");
    const auto* c = static_cast<const std::int32_t*>(config->data);
    options = {.cell = cell_of(file.find(prefix_ + "kind")),
               .input = c[0],
               .hidden = c[1],
               .layers = c[2],
               .bidirectional = c[3] == 2,
               .projection = config->elements() > 5 && c[5] < c[1] ? c[5] : 0};
    const auto* lengths_tensor = file.find(prefix_ + "lengths");
    const auto* l = static_cast<const std::int32_t*>(lengths_tensor->data);
    lengths.assign(l, l + lengths_tensor->elements());
  }

  std::span<const float> floats(const std::string& name) const {
    const TensorView* tensor = file_.find(prefix_ + name);
    INFO(prefix_ + name);
    REQUIRE(tensor != nullptr);
    return tensor->floats();
  }

  bool cell_state() const { return cell_traits(options.cell).cell_state; }
  Index directions() const { return options.bidirectional ? 2 : 1; }

  RecurrentOptions options;
  std::vector<std::int32_t> lengths;

 private:
  const SafetensorsFile& file_;
  std::string prefix_;
};

// Rows that are stored sequence after sequence in the file, into packed order or back.
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
  const Index I = c.options.input, H = c.options.hidden, P = c.options.output(), D = c.directions();
  Packing packing(c.lengths);
  const Index N = packing.tokens(), groups = c.options.layers * D, states = groups * packing.sequences();
  ThreadPool pool(threads);
  Arena arena;
  Tape tape(pool, arena, mode);
  Recurrent layer("", c.options);
  layer.visit([&](Parameter& p) {
    const auto value = c.floats(p.name.substr(1));
    std::copy(value.begin(), value.end(), p.value.data());
  });
  Activation x = tape.allocate(N, I);
  reorder_tokens(packing, c.lengths, I, c.floats("x").data(), x.value, true);
  RecurrentState initial{tape.allocate(states, P), {}};
  reorder_states(packing, groups, P, c.floats("h0").data(), initial.h.value, true);
  if (c.cell_state()) {
    initial.c = tape.allocate(states, H);
    reorder_states(packing, groups, H, c.floats("c0").data(), initial.c.value, true);
  }
  const auto out = layer.forward(tape, packing, x, &initial);
  Result r;
  const auto tokens = [&](const float* from, Index columns) {
    std::vector<float> to(N * columns);
    reorder_tokens(packing, c.lengths, columns, from, to.data(), false);
    return to;
  };
  const auto state = [&](const float* from, Index columns) {
    std::vector<float> to(from ? states * columns : 0);
    if (from) reorder_states(packing, groups, columns, from, to.data(), false);
    return to;
  };
  r.y = tokens(out.y.value, D * P);
  r.hn = state(out.final.h.value, P);
  r.cn = state(out.final.c.value, H);
  if (mode == Tape::Mode::kInference) return r;
  reorder_tokens(packing, c.lengths, D * P, c.floats("gy").data(), out.y.gradient, true);
  reorder_states(packing, groups, P, c.floats("ghn").data(), out.final.h.gradient, true);
  if (c.cell_state()) reorder_states(packing, groups, H, c.floats("gcn").data(), out.final.c.gradient, true);
  tape.backward();
  r.dx = tokens(x.gradient, I);
  r.dh0 = state(initial.h.gradient, P);
  r.dc0 = state(initial.c.gradient, H);
  layer.visit(
      [&](Parameter& p) { r.parameters[p.name.substr(1)].assign(p.gradient.data(), p.gradient.data() + p.size()); });
  return r;
}

template <class Body>
void for_all_cases(const Body& body) {
  for (const char* name : {"lstm", "recurrent"}) {
    const SafetensorsFile file = golden(name);
    const int cases = std::stoi(file.metadata().at("cases"));
    for (int number = 0; number < cases; ++number) {
      const Case c(file, number);
      INFO(name << ", case " << number << ", " << cell_traits(c.options.cell).name);
      body(c);
    }
  }
}

}  // namespace

TEST_CASE("recurrent layers agree with PyTorch, forward and backward") {
  for (const std::string& target : kernels::available_targets()) {
    kernels::use_target(target);
    INFO("instruction set " << target);
    for_all_cases([](const Case& c) {
      for (int threads : {1, 3}) {
        const Result r = run(c, threads, Tape::Mode::kTraining);
        check_close("y", c.floats("y"), r.y);
        check_close("hn", c.floats("hn"), r.hn);
        check_close("grad.x", c.floats("grad.x"), r.dx);
        check_close("grad.h0", c.floats("grad.h0"), r.dh0);
        if (c.cell_state()) {
          check_close("cn", c.floats("cn"), r.cn);
          check_close("grad.c0", c.floats("grad.c0"), r.dc0);
        }
        for (const auto& [name, gradient] : r.parameters)
          check_close("grad." + name, c.floats("grad." + name), gradient);
      }
    });
  }
  kernels::use_target(kernels::available_targets().front());
}

TEST_CASE("inference gives the same bits as training's forward pass, for any number of threads") {
  for_all_cases([](const Case& c) {
    const Result training = run(c, 1, Tape::Mode::kTraining);
    for (int threads : {1, 2, 3, 7}) {
      const Result again = run(c, threads, Tape::Mode::kTraining), inference = run(c, threads, Tape::Mode::kInference);
      CHECK(training.y == inference.y);
      CHECK(training.cn == inference.cn);
      CHECK(training.y == again.y);
      CHECK(training.dx == again.dx);
      CHECK(training.parameters == again.parameters);
    }
  });
}

TEST_CASE("peepholes, coupled gates and the original paper's GRU agree with ONNX Runtime") {
  const SafetensorsFile file = golden("onnx");
  for (CellKind cell : {CellKind::kPeepholeLstm, CellKind::kCifgLstm, CellKind::kGruBefore})
    for (int number = 0; number < std::stoi(file.metadata().at("cases")); ++number) {
      const std::string prefix = cell_traits(cell).name + std::to_string(number) + ".";
      INFO(prefix);
      const auto* c = static_cast<const std::int32_t*>(file.find(prefix + "config")->data);
      const Index I = c[0], H = c[1], T = c[2], B = c[3];
      const auto floats = [&](const std::string& name) { return file.find(prefix + name)->floats(); };
      Recurrent layer("", {.cell = cell, .input = I, .hidden = H});
      layer.visit([&](Parameter& p) {
        const auto value = floats(p.name.substr(1));
        std::copy(value.begin(), value.end(), p.value.data());
      });
      const std::vector<std::int32_t> lengths(B, static_cast<std::int32_t>(T));
      const Packing packing(lengths);
      ThreadPool pool(1);
      Arena arena;
      Tape tape(pool, arena, Tape::Mode::kInference);
      const auto given = [&](const char* name, Index rows, Index columns) {
        const Activation a = tape.allocate(rows, columns);
        std::copy_n(floats(name).data(), a.size(), a.value);
        return a;
      };
      // All sequences are equally long, so packed rows are in ONNX's order: [T, B].
      const Activation x = given("x", T * B, I);
      RecurrentState initial{given("h0", B, H), {}};
      if (cell_traits(cell).cell_state) initial.c = given("c0", B, H);
      const auto out = layer.forward(tape, packing, x, &initial);
      const auto values = [](const Activation& a) { return std::vector<float>(a.value, a.value + a.size()); };
      check_close("y", floats("y"), values(out.y));
      check_close("hn", floats("hn"), values(out.final.h));
      if (cell_traits(cell).cell_state) check_close("cn", floats("cn"), values(out.final.c));
    }
}
