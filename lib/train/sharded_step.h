// A step whose batch is dealt to shards, the shards being dealt to processes.
//
// Letters: S shards, R processes, N floats of dense parameters that are trained.
//
// Process r owns the shards [S r / R, S (r + 1) / R) and a tile of the dense parameters. A step is
//   1. forward and backward for each own shard, the gradients times the shard's weight added up in the largest nodes of
//      the tree over shards that the process owns (train/shard.h);
//   2. an exchange of losses, weights and the rows of embeddings that occur;
//   3. an exchange of gradients: each process gets the nodes of all others for its own tile, and goes on adding along
//      the tree; the rows of embeddings go to all processes, and all of them add them up;
//   4. the norm, from sums of squares of fixed pieces of the parameters, added in their order;
//   5. the optimiser's update of the own tile and, by all processes, of the rows; an exchange of the new values.
// Every sum is thus made of the same terms in the same order whatever R is. A process sends, beside the rows,
//   4 (n (N - T) + (R - 1) T) bytes
// a step, where T is the size of its tile and n the number of its nodes: 1 if R and S are powers of two, at most
// 2 log2(S). With training.exchange bfloat16 gradients take 2 bytes: 2 n (N - T) + 4 (R - 1) T. Then the gradient of
// each shard and each node of the tree is rounded, whether it is sent or not, as another R would send it.
#pragma once

#include <cstdint>
#include <memory>

#include "train/batch_step.h"

namespace mnemo {

/// As make_batch_step, for more than one shard. Throws UsageError if there are more processes than shards.
std::unique_ptr<BatchStep> make_sharded_step(TrainingTask& task, const Config& config, Optimizer& optimizer,
                                             ThreadPool& pool, Transport* transport);

/// BatchStep::not_finite after the backward pass of `tape`; empty if everything is finite.
std::string place_not_finite(TrainingTask& task, const Tape& tape);
/// The same for gradients alone.
std::string gradient_not_finite(TrainingTask& task);

/// The sizes in floats of the tiles that so many processes own of these pieces, as equal as the pieces allow.
std::vector<std::int64_t> tile_sizes(const std::vector<Optimizer::Piece>& pieces, int ranks);
/// Throws UsageError if there are more processes than shards.
void check_shards(std::int64_t shards, int ranks);
/// The exchanges of a step.
inline constexpr int kExchangesOfStep = 6;
/// The shards of process `rank` of so many.
ShardRange owned_shards(int rank, int ranks, std::int64_t shards);
/// The bytes that process `rank` sends in a step for dense parameters with these tiles.
std::int64_t dense_bytes_sent(int rank, const TrainingConfig& training, const std::vector<std::int64_t>& tiles);

}  // namespace mnemo
