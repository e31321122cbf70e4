// Scores are kept transposed, [V, rows], so a block of classes is a contiguous product with the weights as they are in
// memory, and can become exponentials while it is in the cache. The exponentials then are an operand of both gradients'
// products; only a factor for each row and the target's own term are applied apart.
#include "nn/softmax_output.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/elementwise.h"
#include "kernels/softmax.h"

namespace mnemo {
namespace {

using kernels::Start;

// Classes of one task: a multiple of the rows of every register tile, and few enough for their scores to stay in the
// cache until they are exponentiated.
constexpr Index kBlock = 96;
// Scores of a chunk, and its least number of rows.
constexpr Index kChunkScores = Index{6} << 20, kChunkRows = 128;

Index blocks_of(Index classes) { return (classes + kBlock - 1) / kBlock; }

// Calls use(i) for each class, on the pool's threads.
template <class Use>
void for_blocks(ThreadPool& pool, Index classes, const Use& use) {
  pool.parallel_for(blocks_of(classes), [&](std::int64_t block) {
    for (Index i = block * kBlock; i < std::min(classes, (block + 1) * kBlock); ++i) use(i);
  });
}

}  // namespace

// The classes that a loss sums over: all, or a sample.
struct SoftmaxOutput::Classes {
  Index count = 0;
  const float *weight = nullptr, *bias = nullptr;  // [count, H], [count]
  float *weight_gradient = nullptr, *bias_gradient = nullptr;
  bool sampled = false;  // each row's own target is then left out of the sum over classes, and has a term of its own
};

// The data of a chunk of rows, and of V classes.
struct SoftmaxOutput::Chunk {
  Classes classes;
  Index rows = 0;
  float* scores = nullptr;        // [V, rows]
  float* block_rows = nullptr;    // [blocks, rows]
  kernels::PackedMatrix& inputs;  // x^T
  std::vector<Index> places{};    // [rows] of the targets among the classes; below 0: not among them
  std::vector<Index> by_place{};  // [rows] in the order of their places
  std::vector<float> own{};       // [rows] scores of the targets
  std::vector<float> shifts{};    // [rows] subtracted from the scores before they become exponentials
  std::vector<double> sums{};     // [rows] of the exponentials

  void find_targets(std::span<const std::int32_t> targets, std::span<const std::int32_t> sample) {
    places.resize(targets.size());
    for (std::size_t r = 0; r < targets.size(); ++r) {
      places[r] = targets[r];
      if (!classes.sampled) continue;
      const auto found = std::ranges::lower_bound(sample, targets[r]);
      places[r] = found != sample.end() && *found == targets[r] ? found - sample.begin() : -1;
    }
    by_place.resize(targets.size());
    std::iota(by_place.begin(), by_place.end(), 0);
    std::ranges::stable_sort(by_place, {}, [&](Index r) { return places[r]; });
  }

  // Calls `use` with each row whose target's place is in [begin, end).
  template <class Use>
  void for_targets(Index begin, Index end, const Use& use) const {
    const auto from =
        std::lower_bound(by_place.begin(), by_place.end(), begin, [&](Index r, Index v) { return places[r] < v; });
    for (auto r = from; r != by_place.end() && places[*r] < end; ++r) use(*r);
  }
};

SoftmaxOutput::SoftmaxOutput(const std::string& name, Index in, Index classes, Parameter* tied)
    : bias(name + ".bias", {classes}), tied_(tied) {
  if (!tied) own_.emplace_back(name + ".weight", std::vector<Index>{classes, in});
}

void SoftmaxOutput::initialise(Initialiser initialiser, std::uint64_t seed) {
  if (initialiser == Initialiser::kUniform) {
    const float bound = 1.0f / std::sqrt(static_cast<float>(inputs()));
    visit([&](Parameter& p) { initialise_uniform(p, bound, seed); });
  } else {
    for (Parameter& p : own_) initialise_glorot(p, 0, p.rows(), seed);
    std::fill_n(bias.value.data(), bias.size(), 0.0f);
  }
  weights_changed();
}

void SoftmaxOutput::visit(const ParameterVisitor& visitor) {
  for (Parameter& p : own_) visitor(p);
  visitor(bias);
}

void SoftmaxOutput::visit_matrices(const ParameterVisitor& visitor) {
  for (Parameter& p : own_) visitor(p);
}

void SoftmaxOutput::set_precision(kernels::Precision precision) {
  precision_ = precision;
  weights_changed();
}

void SoftmaxOutput::sample_classes(Index expected) {
  sampler_.reset();
  if (expected > 0 && expected < classes()) sampler_.emplace(classes(), expected);
}

Index SoftmaxOutput::chunk_rows(Index classes) const {
  return std::max(kChunkRows, kChunkScores / std::max<Index>(1, classes));
}

SoftmaxOutput::Classes SoftmaxOutput::all_classes() {
  return {classes(), weight().value.data(), bias.value.data(), weight().gradient.data(), bias.gradient.data()};
}

// Copies the rows of a new sample, the biases corrected by -log of the classes' probabilities of being in it.
SoftmaxOutput::Classes SoftmaxOutput::sampled_classes(const Tape& tape) {
  const Index H = inputs();
  sample_ = sampler_->draw(tape.seed, tape.step);
  const Index K = std::ssize(sample_);
  for (auto* rows : {&sampled_weight_, &sampled_weight_gradient_}) rows->resize(K * H);
  for (auto* values : {&sampled_bias_, &sampled_bias_gradient_}) values->resize(K);
  std::fill_n(sampled_weight_gradient_.data(), K * H, 0.0f);
  std::fill_n(sampled_bias_gradient_.data(), K, 0.0f);
  for_blocks(tape.pool, K, [&](Index i) {
    const std::int32_t v = sample_[i];
    std::copy_n(weight().value.data() + v * H, H, sampled_weight_.data() + i * H);
    sampled_bias_[i] = bias.value[v] - static_cast<float>(std::log(sampler_->probability(v)));
  });
  return {
      K,   sampled_weight_.data(), sampled_bias_.data(), sampled_weight_gradient_.data(), sampled_bias_gradient_.data(),
      true};
}

void SoftmaxOutput::add_sampled_gradients(ThreadPool& pool) {
  const Index H = inputs();
  for_blocks(pool, std::ssize(sample_), [&](Index i) {
    kernels::add_scaled(1.0f, sampled_weight_gradient_.data() + i * H, weight().gradient.data() + sample_[i] * H, H);
    bias.gradient[sample_[i]] += sampled_bias_gradient_[i];
  });
}

// Computes the chunk's exponentials, in place of its scores, and log p of each row's target. A block's scores become
// exponentials while they are in the cache: any shift near the largest score will do, and the target's score, which is
// known in advance, nearly always is near. A row whose sum shows that it is not is computed again with the largest.
void SoftmaxOutput::exponentials(ThreadPool& pool, const float* x, std::span<const std::int32_t> targets,
                                 kernels::Precision precision, Chunk& chunk, double* log_p) const {
  constexpr double kLargestSum = 1e12;
  const Classes& over = chunk.classes;
  const Index R = chunk.rows, V = over.count, H = inputs(), blocks = blocks_of(V);
  kernels::pack(pool, x, H, true, H, R, chunk.inputs, precision);
  chunk.find_targets(targets, sample_);
  // Scores without their bias, block by block, each with a row of its own in block_rows.
  const auto for_scores = [&](const auto& body) {
    pool.parallel_for(blocks, [&](std::int64_t block) {
      const Index first = block * kBlock, end = std::min(V, first + kBlock);
      kernels::multiply_rows(end - first, over.weight + first * H, H, chunk.inputs, 0, chunk.inputs.panels(),
                             Start::kZero, nullptr, chunk.scores + first * R, R);
      if (over.sampled)
        chunk.for_targets(first, end, [&](Index r) { chunk.scores[chunk.places[r] * R + r] = -INFINITY; });
      body(first, end, chunk.scores + first * R, chunk.block_rows + block * R);
    });
  };
  const auto exponentiate = [&] {
    for_scores([&](Index first, Index end, float* scores, float* sums) {
      if (!over.sampled)
        chunk.for_targets(first, end, [&](Index r) {
          const float score = scores[(targets[r] - first) * R + r] + bias.value[targets[r]];
          log_p[r] = static_cast<double>(score) - static_cast<double>(chunk.shifts[r]);
        });
      std::fill_n(sums, R, 0.0f);
      kernels::exp_columns(end - first, R, over.bias + first, chunk.shifts.data(), scores, R, sums);
    });
    chunk.sums.assign(R, 0.0);
    for (Index r = 0; over.sampled && r < R; ++r) {
      log_p[r] = static_cast<double>(chunk.own[r]) - static_cast<double>(chunk.shifts[r]);
      chunk.sums[r] = std::exp(log_p[r]);
    }
    for (Index block = 0; block < blocks; ++block)
      for (Index r = 0; r < R; ++r) chunk.sums[r] += static_cast<double>(chunk.block_rows[block * R + r]);
  };
  chunk.shifts.resize(R);
  kernels::for_row_groups(pool, R, [&](Index begin, Index rows) {
    for (Index r = begin; r < begin + rows; ++r)
      chunk.shifts[r] = std::inner_product(x + r * H, x + (r + 1) * H, weight().value.data() + targets[r] * H,
                                           bias.value[targets[r]]);
  });
  if (over.sampled) chunk.own = chunk.shifts;
  exponentiate();
  if (std::any_of(chunk.sums.begin(), chunk.sums.end(), [](double sum) { return !(sum < kLargestSum); })) {
    for_scores([&](Index first, Index end, float* scores, float* largest) {
      std::fill_n(largest, R, -INFINITY);
      kernels::largest_of_columns(end - first, R, over.bias + first, scores, R, largest);
    });
    // Only for the rows that need it: a row's result does not depend on the others.
    for (Index r = 0; r < R; ++r) {
      if (chunk.sums[r] < kLargestSum) continue;
      chunk.shifts[r] = over.sampled ? chunk.own[r] : chunk.block_rows[r];
      for (Index block = 0; block < blocks; ++block)
        chunk.shifts[r] = std::max(chunk.shifts[r], chunk.block_rows[block * R + r]);
    }
    exponentiate();
  }
  for (Index r = 0; r < R; ++r) log_p[r] -= std::log(chunk.sums[r]);
}

// Packs s_r x_r.
void SoftmaxOutput::pack_scaled(ThreadPool& pool, const float* x, std::span<const float> scales) {
  const Index R = std::ssize(scales), H = inputs();
  scaled_.resize(R * H);
  std::fill_n(scaled_.data(), R * H, 0.0f);
  kernels::for_row_groups(pool, R, [&](Index begin, Index rows) {
    for (Index r = begin; r < begin + rows; ++r) kernels::add_scaled(scales[r], x + r * H, scaled_.data() + r * H, H);
  });
  kernels::pack(pool, scaled_.data(), H, false, R, H, scaled_panels_, training_precision_);
}

// With e the exponentials, s_r = share / sum_r and t_r the targets:
//   dW[v] = sum_r e[v, r] s_r x_r - sum_(t_r = v) share x_r,  dx_r = s_r sum_v e[v, r] W[v] - share W[t_r].
// With smoothing s the target's terms have the factor 1 - s, and each row also has -share s / V of the mean over all
// classes: the same vector for every class of dW, and the same for every row of dx. With a sample, e and W are those of
// the sampled classes but the row's target, and the target's terms have the factor 1 - p(t_r).
void SoftmaxOutput::add_gradients(ThreadPool& pool, AlignedVector& scratch, const Activation& x, Index first,
                                  std::span<const std::int32_t> targets, std::span<const double> log_p, double share,
                                  Chunk& chunk) {
  const Classes& over = chunk.classes;
  const Index R = chunk.rows, V = over.count, H = inputs();
  const float* values = x.value + first * H;
  const auto negative = static_cast<float>(-share * (1.0 - smoothing_)),
             uniform = static_cast<float>(-share * smoothing_ / static_cast<double>(V));
  std::vector<float> row_sum(smoothing_ > 0 ? H : 0, 0.0f);
  for (Index r = 0; smoothing_ > 0 && r < R; ++r) kernels::add_scaled(1.0f, values + r * H, row_sum.data(), H);
  std::vector<float> scales(R);
  for (Index r = 0; r < R; ++r) scales[r] = static_cast<float>(share / chunk.sums[r]);
  pack_scaled(pool, values, scales);
  float* gradient = over.weight_gradient;
  pool.parallel_for(blocks_of(V), [&](std::int64_t block) {
    const Index begin = block * kBlock, end = std::min(V, begin + kBlock);
    const float* scores = chunk.scores + begin * R;
    kernels::multiply_rows(end - begin, scores, R, scaled_panels_, 0, scaled_panels_.panels(), Start::kResult, nullptr,
                           gradient + begin * H, H);
    kernels::row_dots(end - begin, R, scores, R, scales.data(), over.bias_gradient + begin);
    if (!over.sampled)
      chunk.for_targets(begin, end, [&](Index r) {
        kernels::add_scaled(negative, values + r * H, gradient + targets[r] * H, H);
        bias.gradient[targets[r]] += negative;
      });
    for (Index v = begin; smoothing_ > 0 && v < end; ++v) {
      kernels::add_scaled(uniform, row_sum.data(), gradient + v * H, H);
      bias.gradient[v] += uniform * static_cast<float>(R);
    }
  });
  const auto of_target = [&](Index r) {
    return over.sampled ? static_cast<float>(share * std::expm1(log_p[r])) : negative;
  };
  for (Index r = 0; over.sampled && r < R; ++r) {
    kernels::add_scaled(of_target(r), values + r * H, weight().gradient.data() + targets[r] * H, H);
    bias.gradient[targets[r]] += of_target(r);
  }
  if (!x.gradient) return;
  products_.resize(R * H);
  std::fill_n(products_.data(), R * H, 0.0f);
  const kernels::TransposedProduct product{
      .rows = V,
      .m = R,
      .a = chunk.scores,
      .lda = R,
      .right = {{.n = H, .b = over.weight, .ldb = H, .c = products_.data(), .ldc = H}, {}}};
  kernels::multiply_transposed(pool, {&product, 1}, scratch, training_precision_);
  kernels::for_row_groups(pool, R, [&](Index begin, Index rows) {
    for (Index r = begin; r < begin + rows; ++r) {
      float* to = x.gradient + (first + r) * H;
      kernels::add_scaled(scales[r], products_.data() + r * H, to, H);
      kernels::add_scaled(of_target(r), weight().value.data() + targets[r] * H, to, H);
      if (smoothing_ > 0) kernels::add_scaled(uniform, weight_sum_.data(), to, H);
    }
  });
}

// The sums over all classes of their weights and biases.
void SoftmaxOutput::sum_rows() {
  weight_sum_.resize(inputs());
  std::fill_n(weight_sum_.data(), inputs(), 0.0f);
  bias_sum_ = 0;
  for (Index v = 0; v < classes(); ++v) {
    kernels::add_scaled(1.0f, weight().value.data() + v * inputs(), weight_sum_.data(), inputs());
    bias_sum_ += static_cast<double>(bias.value[v]);
  }
}

// The sum over a chunk's rows. The mean of -log p over all classes is log(sum of exponentials) - mean score.
double SoftmaxOutput::smoothed_loss(const Activation& x, Index first, const Chunk& chunk,
                                    std::span<const double> log_p) const {
  double out = 0;
  for (Index r = 0; r < chunk.rows; ++r) {
    out -= (1.0 - smoothing_) * log_p[r];
    const float* row = x.value + (first + r) * inputs();
    double scores = bias_sum_;
    for (Index j = 0; j < inputs(); ++j) scores += static_cast<double>(row[j]) * static_cast<double>(weight_sum_[j]);
    out += smoothing_ *
           (static_cast<double>(chunk.shifts[r]) + std::log(chunk.sums[r]) - scores / static_cast<double>(classes()));
  }
  return out;
}

double SoftmaxOutput::loss(Tape& tape, const Activation& x, std::span<const std::int32_t> targets, double share) {
  if (x.rows == 0) return 0;
  const kernels::Precision precision = tape.training() ? training_precision_ : kernels::Precision::kFloat32;
  std::vector<double> log_p(x.rows);
  Chunk chunk{.classes = tape.training() && sampler_ ? sampled_classes(tape) : all_classes(), .inputs = inputs_};
  const Index classes = chunk.classes.count, rows = chunk_rows(classes), chunks = (x.rows + rows - 1) / rows;
  double loss = 0;
  const bool smoothing = tape.training() && smoothing_ > 0;
  if (smoothing) sum_rows();
  for (Index c = 0; c < chunks; ++c) {
    const Index first = c * x.rows / chunks;
    chunk.rows = (c + 1) * x.rows / chunks - first;
    scores_.resize(classes * chunk.rows);
    block_rows_.resize(blocks_of(classes) * chunk.rows);
    chunk.scores = scores_.data();
    chunk.block_rows = block_rows_.data();
    const auto some = targets.subspan(first, chunk.rows);
    exponentials(tape.pool, x.value + first * inputs(), some, precision, chunk, log_p.data() + first);
    if (smoothing) loss += smoothed_loss(x, first, chunk, std::span(log_p).subspan(first, chunk.rows));
    if (tape.training())
      add_gradients(tape.pool, tape.arena.scratch(), x, first, some, std::span(log_p).subspan(first, chunk.rows),
                    share / static_cast<double>(x.rows), chunk);
  }
  if (tape.training() && chunk.classes.sampled) add_sampled_gradients(tape.pool);
  for (const double one : log_p) loss -= smoothing ? 0 : one;
  return loss / static_cast<double>(x.rows);
}

void SoftmaxOutput::log_probabilities(ThreadPool& pool, Arena& arena, const float* x,
                                      std::span<const std::int32_t> targets, double* out) const {
  kernels::PackedMatrix inputs;
  const Index most = std::min(chunk_rows(classes()), std::ssize(targets));
  Chunk chunk{.classes = {.count = classes(), .weight = weight().value.data(), .bias = bias.value.data()},
              .scores = arena.allocate(classes() * most),
              .block_rows = arena.allocate(blocks_of(classes()) * most),
              .inputs = inputs};
  for (Index first = 0; first < std::ssize(targets); first += chunk.rows) {
    chunk.rows = std::min(most, std::ssize(targets) - first);
    exponentials(pool, x + first * this->inputs(), targets.subspan(first, chunk.rows), kernels::Precision::kFloat32,
                 chunk, out + first);
  }
}

void SoftmaxOutput::prepare_scores(ThreadPool& pool) {
  if (packed_) return;
  kernels::pack(pool, weight().value.data(), inputs(), true, inputs(), classes(), panels_, precision_);
  packed_ = true;
}

void SoftmaxOutput::scores(Index rows, const float* x, float* out) const {
  kernels::multiply_rows(rows, x, inputs(), panels_, 0, panels_.panels(), Start::kBias, bias.value.data(), out,
                         classes());
}

}  // namespace mnemo
