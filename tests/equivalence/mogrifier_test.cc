#include "nn/mogrifier.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "tests/catch.h"
#include "tests/reference/every_target.h"
#include "tests/reference/mogrifier.h"

using namespace mnemo;

TEST_CASE("a mogrifier agrees with its reference, for any number of rounds, and rows do not depend on each other") {
  constexpr Index kRows = 5;
  ThreadPool pool(1);
  for (const auto& [input, output, rank] : {std::tuple{1, 1, 1}, {7, 16, 3}, {17, 50, 16}, {50, 7, 20}})
    for (Index rounds = 1; rounds <= 5; ++rounds) {
      INFO(input << " to " << output << ", rank " << rank << ", rounds " << rounds);
      Mogrifier m("rnn.", "_l0", input, output, {rounds, rank});
      std::uint64_t stream = 60;
      const auto fill = [&stream](float* to, Index count) {
        RandomStream random(7, Purpose::kTest, stream++);
        for (Index i = 0; i < count; ++i) to[i] = static_cast<float>(random.normal()) * 0.5f;
      };
      double weights = 0;
      m.visit([&](Parameter& p) {
        fill(p.value.data(), p.size());
        weights += static_cast<double>(p.size());
      });
      CHECK(weights == mogrifier_parameters({rounds, rank}, input, output));
      std::vector<float> x(kRows * input), h(kRows * output);
      fill(x.data(), std::ssize(x));
      fill(h.data(), std::ssize(h));
      on_every_target([&, input = Index{input}, output = Index{output}] {
        m.pack(pool, true, kernels::Precision::kFloat32);
        const Index stride = m.room() + 3;
        std::vector<float> room(kRows * stride), alone(m.room());
        const Mogrifier::Pair gated = m.forward(kRows, {{x.data(), input}, {h.data(), output}}, room.data(), stride);
        double worst = 0;
        for (Index r = 0; r < kRows; ++r) {
          const float *one_x = x.data() + r * input, *one_h = h.data() + r * output;
          const auto [exact_x, exact_h] = reference::mogrify(m, {one_x, one_x + input}, {one_h, one_h + output});
          const float *found_x = gated.x.at + r * gated.x.stride, *found_h = gated.h.at + r * gated.h.stride;
          for (Index j = 0; j < input; ++j)
            worst = std::max(worst, std::abs(exact_x[static_cast<std::size_t>(j)] - static_cast<double>(found_x[j])));
          for (Index j = 0; j < output; ++j)
            worst = std::max(worst, std::abs(exact_h[static_cast<std::size_t>(j)] - static_cast<double>(found_h[j])));
          const Mogrifier::Pair same = m.forward(1, {{one_x, 0}, {one_h, 0}}, alone.data(), m.room());
          CHECK(std::equal(found_x, found_x + input, same.x.at));
          CHECK(std::equal(found_h, found_h + output, same.h.at));
        }
        CHECK(worst < kMogrifierError);
      });
    }
}
