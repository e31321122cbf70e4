// Attention of the rows of one set of sequences, the queries, to those of another one, the memory: for a decoder, which
// at each step looks at all of the source.
//
// Letters: Q rows of queries, N rows of memory, C columns of the memory, Hq columns of a query, A heads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/initialise.h"
#include "nn/linear.h"
#include "nn/packing.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// The score of a query q for a memory row m:
///   dot       q . m, for C = Hq (Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine
///             Translation", section 3.1)
///   general   q . W m, with W [Hq, C] (the same)
///   additive  v . tanh(U q + W m), with U [Hq, Hq], W [Hq, C] and v [Hq] (Bahdanau et al. 2015, "Neural Machine
///             Translation by Jointly Learning to Align and Translate")
enum class AttentionKind { kDot, kGeneral, kAdditive };

struct AttentionOptions {
  AttentionKind kind = AttentionKind::kGeneral;
  Index query = 0, memory = 0;  ///< Hq and C
  /// A: queries, keys and memory are cut into as many equal parts, each with a score and a softmax of its own, the
  /// scores of dot and general divided by sqrt(Hq / A) (Vaswani et al. 2017, "Attention Is All You Need"). One head
  /// has plain scores, as in the papers above.
  Index heads = 1;
};

/// All conflicts between the options; empty if there are none.
std::vector<std::string> attention_conflicts(const AttentionOptions& options);

/// context = sum_n a_n m_n, with a the softmax of the scores over the rows of one sequence. A sequence without rows
/// gives zeros.
class Attention {
 public:
  Attention(const std::string& name, const AttentionOptions& options);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void visit_matrices(const ParameterVisitor& visitor);
  void weights_changed();
  void set_precision(kernels::Precision precision);
  void set_training_precision(kernels::Precision precision);
  void prepare(Tape& tape);
  void prepare(ThreadPool& pool);

  /// What queries are compared with, computed once for all of them.
  struct Memory {
    Activation values;  ///< [N, C]
    Activation keys;    ///< [N, Hq], for dot the values
    /// By the packing's sorted order of sequences: those of sequence s are rows[starts[s]] to rows[starts[s + 1] - 1].
    std::vector<std::int32_t> rows, starts;

    Index sequences() const { return static_cast<Index>(starts.size()) - 1; }
    Index length(Index s) const { return starts[s + 1] - starts[s]; }
    const std::int32_t* rows_of(Index s) const { return rows.data() + starts[s]; }
  };
  using SharedMemory = std::shared_ptr<const Memory>;
  /// `values` [N, C] in the order of the packing.
  SharedMemory remember(Tape& tape, const Packing& packing, const Activation& values) const;

  struct Output {
    Activation context;         ///< [Q, C]
    float* shares = nullptr;    ///< in training, a of query i: [A, length of its sequence], from starts[i] on
    std::vector<Index> starts;  ///< [Q]
  };
  /// Query i looks at the rows of sequence `sequences[i]`, in the sorted order of the memory's packing. The bits of a
  /// query do not depend on the others.
  Output attend(Tape& tape, const SharedMemory& memory, const Activation& queries,
                std::span<const std::int32_t> sequences) const;

  /// The same bits for queries [rows, Hq] on the calling thread, without a tape: context [rows, C], and for query i A
  /// rows of shares at shares + starts[i]. `scratch` [rows, Hq] is working memory.
  void attend_rows(Index rows, const float* queries, const Memory& memory, const std::int32_t* sequences,
                   const Index* starts, float* scratch, float* context, float* shares) const;

  const AttentionOptions& options() const { return options_; }

 private:
  struct Batch;

  void attend_one(const float* asked, const Memory& memory, Index s, float* context, float* shares) const;
  void backward_query(const Batch& batch, Index i, float* dv, std::vector<float>& scratch) const;
  void backward(Tape& tape, const Batch& batch) const;
  float scale() const;

  AttentionOptions options_;
  std::optional<Linear> key_, query_;
  std::optional<Parameter> score_;  // v
};

}  // namespace mnemo
