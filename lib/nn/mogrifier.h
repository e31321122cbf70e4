// The mogrifier: before each step of a recurrent layer, its input and its previous output gate each other in rounds.
//
// Melis, Kocisky & Blunsom 2020 ("Mogrifier LSTM"), equations 1 and 2, with x^-1 = x, h^0 = h and s the logistic
// function:
//   odd i    x^i = 2 s(Q^i h^(i-1)) x^(i-2)
//   even i   h^i = 2 s(R^i x^(i-1)) h^(i-2)
// The cell's products take the last x and h. Each Q and R is a product of two factors of low rank, and has a bias as in
// the authors' code:
//   Q^i v = U^i D^i v + b^i
//
// Letters: I inputs, P outputs, K rank, T what a round gates (I in odd rounds, P in even ones), F what it reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/product.h"
#include "nn/initialise.h"
#include "nn/parameter.h"
#include "nn/strided_rows.h"

namespace mnemo {

struct MogrifierOptions {
  Index rounds = 0, rank = 0;  ///< no rounds: none
};

/// Largest error of what is gated, for values and weights of about 1 and up to 64 columns.
inline constexpr double kMogrifierError = 1e-5;

/// The number of weights.
double mogrifier_parameters(const MogrifierOptions& options, Index input, Index output);

class Mogrifier {
 public:
  Mogrifier(const std::string& prefix, const std::string& suffix, Index input, Index output,
            const MogrifierOptions& options);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void visit_factors(const ParameterVisitor& visitor);
  void pack(ThreadPool& pool, bool training, kernels::Precision precision);

  /// What a round leaves in a row of room, and its weights.
  struct Round {
    Parameter down, up, bias;  // D [K, F], U [T, K], b [T]
    // Where in a row of room: D v [K], its gradient [K], the gate s [T], later the gradient of the gate's sum, and the
    // gated vector [T].
    Index inner, inner_gradient, gate, gated;
    kernels::PackedMatrix down_panels, up_panels, down_back_panels, up_back_panels;
  };
  Index rounds() const { return static_cast<Index>(rounds_.size()); }
  Round& round(Index i) { return *rounds_[static_cast<std::size_t>(i)]; }
  const Round& round(Index i) const { return *rounds_[static_cast<std::size_t>(i)]; }
  /// The last round that gates x, and of two or more rounds the last one that gates h.
  const Round& last_input_round() const { return round((rounds() - 1) / 2 * 2); }
  const Round& last_state_round() const { return round(rounds() / 2 * 2 - 1); }
  /// Floats of a row of room.
  Index room() const { return room_; }

  struct Pair {
    Rows x, h;  // [rows, I], [rows, P]
  };
  /// Gates x and h, which `room` [rows, room()] then holds, on the calling thread; a row's result does not depend on
  /// the others.
  Pair forward(Index rows, const Pair& given, float* room, Index stride) const;
  /// Where `forward` has left what it gated.
  Pair gated(const Pair& given, const float* room, Index stride) const;
  /// Turns dx and dh [rows, I], [rows, P], the gradients of what forward gave, into those of what it was given, and
  /// leaves those of the gates' sums and of D v in `room`, from which the weights' gradients are products.
  void backward(Index rows, const Pair& given, float* room, Index stride, float* dx, Index dx_stride, float* dh,
                Index dh_stride) const;

 private:
  // Of round i (from 0): whether it gates x; what it reads, and what it gates.
  static bool gates_input(Index i) { return i % 2 == 0; }
  Rows read_by(Index i, const Pair& given, const float* room, Index stride) const;
  Rows gated_by(Index i, const Pair& given, const float* room, Index stride) const;

  Index room_ = 0;
  std::vector<std::unique_ptr<Round>> rounds_;
};

}  // namespace mnemo
