// Optimisers against PyTorch's definitions in double precision; sparse parameters against dense ones.
#include "nn/optimizer.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "nn/schedule.h"
#include "tests/catch.h"
#include "tests/reference/optimizers.h"

using namespace mnemo;

namespace {

OptimizerOptions options_of(OptimizerKind kind, float momentum = 0.0f, float decay = 0.0f) {
  OptimizerOptions o;
  o.kind = kind;
  o.momentum = momentum;
  o.weight_decay = decay;
  return o;
}

double reference_step(const OptimizerOptions& o, double w, double g, reference::OptimizerState& state, int t,
                      double rate) {
  const double decay = static_cast<double>(o.weight_decay);
  w *= 1.0 - rate * decay;
  switch (o.kind) {
    case OptimizerKind::kSgd:
      return reference::sgd_step(w, g, state, rate, static_cast<double>(o.momentum), 0.0);
    case OptimizerKind::kRmsProp:
      return reference::rmsprop_step(w, g, state, rate, static_cast<double>(o.alpha), static_cast<double>(o.epsilon),
                                     0.0, static_cast<double>(o.momentum));
    default:
      return reference::adam_step(w, g, state, t, rate, static_cast<double>(o.beta1), static_cast<double>(o.beta2),
                                  static_cast<double>(o.epsilon));
  }
}

std::vector<OptimizerOptions> all_options() {
  return {options_of(OptimizerKind::kSgd),     options_of(OptimizerKind::kSgd, 0.9f, 0.01f),
          options_of(OptimizerKind::kAdam),    options_of(OptimizerKind::kAdamW, 0.0f, 0.1f),
          options_of(OptimizerKind::kRmsProp), options_of(OptimizerKind::kRmsProp, 0.8f, 0.05f)};
}

}  // namespace

TEST_CASE("dense parameters follow PyTorch's formulas") {
  for (const auto& o : all_options()) {
    Parameter p("p", {3, 7});
    RandomStream random(1, Purpose::kTest);
    std::vector<double> w(21);
    for (int i = 0; i < 21; ++i) w[i] = p.value[i] = static_cast<float>(random.normal());
    std::vector<reference::OptimizerState> states(21);
    Optimizer optimizer(o, [&](const ParameterVisitor& v) { v(p); });
    ThreadPool pool(1);
    for (int t = 1; t <= 50; ++t) {
      const double rate = 0.01 / t;
      for (int i = 0; i < 21; ++i) {
        p.gradient[i] = static_cast<float>(random.normal());
        w[i] = reference_step(o, w[i], 0.5 * static_cast<double>(p.gradient[i]), states[i], t, rate);
      }
      optimizer.step(rate, 0.5, pool);
    }
    INFO("kind " << static_cast<int>(o.kind) << " momentum " << o.momentum);
    for (int i = 0; i < 21; ++i) REQUIRE(static_cast<double>(p.value[i]) == Approx(w[i]).margin(2e-5));
  }
}

TEST_CASE("Nesterov's momentum is PyTorch's") {
  Parameter p("p", {1, 1});
  p.value[0] = 0.0f;
  OptimizerOptions o = options_of(OptimizerKind::kSgd, 0.9f);
  o.nesterov = true;
  Optimizer optimizer(o, [&](const ParameterVisitor& v) { v(p); });
  ThreadPool pool(1);
  double w = 0, m = 0;
  for (int t = 0; t < 10; ++t) {
    const double g = 1.0 + t;
    p.gradient[0] = static_cast<float>(g);
    m = 0.9 * m + g;
    w -= 0.1 * (g + 0.9 * m);
    optimizer.step(0.1, 1.0, pool);
  }
  CHECK(static_cast<double>(p.value[0]) == Approx(w).epsilon(1e-5));
}

TEST_CASE("a sparse parameter ends where the dense one does, though only rows that occur are updated") {
  auto all = all_options();
  all.push_back(options_of(OptimizerKind::kSgd, 0.9f));
  all.back().nesterov = true;
  for (const auto& o : all) {
    const Index rows = 20, E = 5;
    Parameter sparse("sparse", {rows, E}, true), dense("dense", {rows, E});
    RandomStream random(2, Purpose::kTest);
    for (Index i = 0; i < rows * E; ++i) sparse.value[i] = dense.value[i] = static_cast<float>(random.normal());
    Optimizer a(o, [&](const ParameterVisitor&v) { v(sparse); }), b(o, [&](const ParameterVisitor&v) { v(dense); });
    ThreadPool pool(2);
    for (int t = 1; t <= 400; ++t) {
      const double rate = 0.01 * (1.0 + std::sin(t * 0.1) * 0.5);
      std::vector<std::int32_t> touched;
      for (std::int32_t r = 0; r < rows; ++r)
        if (random.uniform() < (r == 0 ? 0.01 : 0.2)) touched.push_back(r);
      a.catch_up(sparse, touched, pool);
      sparse.touched = touched;
      sparse.gradient.resize(touched.size() * E);
      for (std::size_t i = 0; i < touched.size() * E; ++i) {
        sparse.gradient[i] = static_cast<float>(random.normal());
        dense.gradient[touched[i / E] * E + static_cast<Index>(i) % E] = sparse.gradient[i];
      }
      a.step(rate, 1.0, pool);
      b.step(rate, 1.0, pool);
    }
    a.catch_up_all(pool);
    INFO("kind " << static_cast<int>(o.kind) << " momentum " << o.momentum);
    for (Index i = 0; i < rows * E; ++i) REQUIRE(sparse.value[i] == Approx(dense.value[i]).margin(5e-4));
  }
}

TEST_CASE("a parameter's own rate is a fraction of the optimiser's, in missed steps too") {
  for (const auto& o : {options_of(OptimizerKind::kSgd, 0.9f), options_of(OptimizerKind::kAdam)}) {
    // The same with a quarter of the rate, and dense.
    Parameter own("own", {6, 2}, true), whole("whole", {6, 2});
    own.rate = 0.25f;
    for (int i = 0; i < 12; ++i) own.value[i] = whole.value[i] = 0.1f * static_cast<float>(i);
    Optimizer first(o, [&](const ParameterVisitor& v) { v(own); });
    Optimizer second(o, [&](const ParameterVisitor& v) { v(whole); });
    ThreadPool pool(1);
    for (int t = 1; t <= 30; ++t) {
      const std::int32_t row = t % 3;
      first.catch_up(own, {row}, pool);
      own.touched = {row};
      own.gradient.resize(2);
      for (int e = 0; e < 2; ++e) own.gradient[e] = whole.gradient[row * 2 + e] = 0.3f * static_cast<float>(t % 5 + e);
      first.step(0.04, 1.0, pool);
      second.step(0.01, 1.0, pool);
    }
    first.catch_up_all(pool);
    for (int i = 0; i < 12; ++i) CHECK(own.value[i] == Approx(whole.value[i]).margin(2e-5));
  }
}

TEST_CASE("a parameter whose rate is 0 keeps its values, and goes on as the dense one does") {
  for (const auto& o : all_options()) {
    INFO("kind " << static_cast<int>(o.kind) << " momentum " << o.momentum);
    Parameter sparse("sparse", {6, 2}, true), dense("dense", {6, 2});
    for (int i = 0; i < 12; ++i) sparse.value[i] = dense.value[i] = 0.1f * static_cast<float>(i);
    Optimizer first(o, [&](const ParameterVisitor& v) { v(sparse); });
    Optimizer second(o, [&](const ParameterVisitor& v) { v(dense); });
    ThreadPool pool(1);
    for (int t = 1; t <= 40; ++t) {
      if (t == 1 || t == 21) {
        first.catch_up_all(pool);
        if (t == 21)
          for (int i = 0; i < 12; ++i) CHECK(sparse.value[i] == 0.1f * static_cast<float>(i));
        sparse.rate = dense.rate = t == 1 ? 0.0f : 0.5f;
      }
      const std::int32_t row = t % 3;
      first.catch_up(sparse, {row}, pool);
      sparse.touched = {row};
      sparse.gradient.resize(2);
      for (int e = 0; e < 2; ++e)
        sparse.gradient[e] = dense.gradient[row * 2 + e] = 0.3f * static_cast<float>(t % 5 + e);
      CHECK((first.gradient_norm(pool) == 0.0) == (t <= 20));
      first.step(0.04, 1.0, pool);
      second.step(0.04, 1.0, pool);
    }
    first.catch_up_all(pool);
    for (int i = 0; i < 12; ++i) CHECK(sparse.value[i] == Approx(dense.value[i]).margin(5e-4));
  }
}

TEST_CASE("the gradient norm covers all parameters, and is the same for any number of threads") {
  Parameter dense("dense", {50, 1000}), sparse("sparse", {9, 4}, true);
  RandomStream random(3, Purpose::kTest);
  double sum = 0;
  for (Index i = 0; i < dense.size(); ++i) {
    dense.gradient[i] = static_cast<float>(random.normal());
    sum += static_cast<double>(dense.gradient[i]) * static_cast<double>(dense.gradient[i]);
  }
  sparse.touched = {1, 7};
  sparse.gradient.resize(8);
  std::fill_n(sparse.gradient.data(), 8, 2.0f);
  sum += 8 * 4.0;
  Optimizer optimizer({}, [&](const ParameterVisitor& v) {
    v(dense);
    v(sparse);
  });
  ThreadPool one(1), three(3);
  CHECK(optimizer.gradient_norm(one) == Approx(std::sqrt(sum)).epsilon(1e-10));
  CHECK(optimizer.gradient_norm(one) == optimizer.gradient_norm(three));
}

TEST_CASE("frozen parameters are left alone, biases do not decay") {
  Parameter frozen("frozen", {2, 2}), bias("bias", {2});
  frozen.frozen = true;
  std::fill_n(frozen.value.data(), 4, 1.0f);
  std::fill_n(frozen.gradient.data(), 4, 1.0f);
  std::fill_n(bias.value.data(), 2, 1.0f);
  Optimizer optimizer(options_of(OptimizerKind::kAdamW, 0.0f, 0.5f), [&](const ParameterVisitor& v) {
    v(frozen);
    v(bias);
  });
  ThreadPool pool(1);
  optimizer.step(0.1, 1.0, pool);
  CHECK(frozen.value[0] == 1.0f);
  CHECK(bias.value[0] == 1.0f);
}

TEST_CASE("schedules follow their formulas") {
  ScheduleOptions o{.learning_rate = 1.0, .end_factor = 0.1, .factor = 0.5, .warmup = 10, .steps = 110, .patience = 2};
  const auto rate = [&](ScheduleKind kind, std::int64_t step) {
    o.kind = kind;
    return Schedule(o).rate(step);
  };
  for (auto kind : {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine, ScheduleKind::kInverseSqrt,
                    ScheduleKind::kPlateau}) {
    CHECK(rate(kind, 1) == Approx(0.1));
    CHECK(rate(kind, 10) == Approx(1.0));
  }
  CHECK(rate(ScheduleKind::kConstant, 99) == Approx(1.0));
  CHECK(rate(ScheduleKind::kLinear, 60) == Approx(0.55));
  CHECK(rate(ScheduleKind::kLinear, 110) == Approx(0.1));
  CHECK(rate(ScheduleKind::kCosine, 60) == Approx(0.55));
  CHECK(rate(ScheduleKind::kCosine, 35) == Approx(0.1 + 0.9 * 0.5 * (1 + std::cos(std::acos(-1.0) * 0.25))));
  CHECK(rate(ScheduleKind::kInverseSqrt, 40) == Approx(0.5));
  o.kind = ScheduleKind::kPlateau;
  Schedule plateau(o);
  for (bool better : {false, true, false}) plateau.evaluated(better);
  CHECK(plateau.rate(50) == Approx(1.0));
  plateau.evaluated(false);
  CHECK(plateau.rate(50) == Approx(0.5));
}
