// The order of the sums over the nodes of all processes is worked out once, as a program of additions: the sum of a
// node is left in the place of its first part. Exchanges are lists of messages straight from and to where the numbers
// lie.
#include "train/sharded_step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <optional>
#include <utility>

#include "base/error.h"
#include "kernels/elementwise.h"
#include "nn/arena.h"
#include "train/gradient_sum.h"

namespace mnemo {
namespace {

constexpr std::int64_t kFloat = sizeof(float), kHalf = sizeof(std::uint16_t);

// Words of a shard in the first message of a process.
constexpr std::size_t kShardWords = 4;

// The largest nodes of the tree that it owns.
std::vector<ShardRange> owned_nodes(int rank, int ranks, std::int64_t shards) {
  std::vector<ShardRange> out;
  append_whole_nodes({0, shards}, owned_shards(rank, ranks, shards), out);
  return out;
}

// The first piece of each process's tile, and the number of pieces.
std::vector<std::size_t> tile_begins(const std::vector<Optimizer::Piece>& pieces, int ranks) {
  Index size = 0;
  for (const Optimizer::Piece& piece : pieces) size += piece.count;
  std::vector<std::size_t> out;
  Index offset = 0;
  for (std::size_t i = 0; i < pieces.size(); offset += pieces[i++].count)
    while (std::ssize(out) < ranks && offset >= size * std::ssize(out) / ranks) out.push_back(i);
  out.resize(static_cast<std::size_t>(ranks) + 1, pieces.size());
  return out;
}

// What one exchange sends and receives; the processes list their messages to and from one another in the same order.
struct Messages {
  std::vector<Outgoing> sent;
  std::vector<Incoming> received;

  void send(int to, const void* data, std::int64_t bytes) {
    if (bytes > 0) sent.push_back({to, data, bytes});
  }
  void receive(int from, void* data, std::int64_t bytes) {
    if (bytes > 0) received.push_back({from, data, bytes});
  }
};

struct ShardSums {
  double loss = 0, term = 0, weight = 0;
  std::int64_t tokens = 0;
};

class ShardedStep : public BatchStep {
 public:
  ShardedStep(TrainingTask& task, const Config& config, Optimizer& optimizer, ThreadPool& pool, Transport* transport)
      : task_(task),
        seed_(static_cast<std::uint64_t>(config.training.seed)),
        shards_(config.training.shards),
        optimizer_(optimizer),
        pool_(pool),
        transport_(transport),
        rank_(transport ? transport->rank() : 0),
        ranks_(transport ? transport->ranks() : 1),
        narrow_(config.training.bfloat16_exchange()),
        layout_(optimizer, sparse_parameters(task), narrow_) {
    check_shards(shards_, ranks_);
    for (int r = 0; r < ranks_; ++r) nodes_.push_back(owned_nodes(r, ranks_, shards_));
    tile_begins_ = tile_begins(layout_.pieces(), ranks_);
    add_to_program({0, shards_});
    optimizer_.own_pieces(own_begin(), own_end());
  }

  Found gradient(std::int64_t batch, std::int64_t step) override {
    sums_.assign(static_cast<std::size_t>(shards_), {});
    used_rows_.assign(layout_.sparse_parameters().size(), {});
    where_.clear();
    const std::vector<ShardRange>& own = nodes_[static_cast<std::size_t>(rank_)];
    parts_.resize(parts());
    for (std::size_t k = 0; k < own.size(); ++k) {
      GradientSum& part = parts_[first_part(rank_) + k];
      compute(own[k], batch, step, part);
    }
    exchange_sums();
    exchange_gradients();
    add_up();
    Found out;
    weight_ = 0;
    for (const ShardSums& shard : sums_) {
      out.loss += shard.loss * shard.weight;
      out.term += shard.term * shard.weight;
      out.tokens += shard.tokens;
      weight_ += shard.weight;
    }
    if (weight_ <= 0) weight_ = 1;
    out.loss /= weight_;
    out.term /= weight_;
    out.norm = std::sqrt(sum_of_squares()) / weight_;
    return out;
  }

  std::string not_finite() override {
    if (where_.empty()) where_ = gradient_not_finite(task_);
    if (!transport_) return where_;
    for (const std::string& found : all_gather(*transport_, where_))
      if (!found.empty()) return found;
    return "";
  }

  void update(double learning_rate, double gradient_scale) override {
    optimizer_.step(learning_rate, gradient_scale / weight_, pool_);
    if (ranks_ == 1) return;
    Messages messages;
    for (int r = 0; r < ranks_; ++r) {
      if (r == rank_) continue;
      for_runs(rank_, [&](float* values, Index count) { messages.send(r, values, count * kFloat); });
      for_runs(r, [&](float* values, Index count) { messages.receive(r, values, count * kFloat); });
    }
    transport_->exchange(messages.sent, messages.received);
  }

  // Moments of the tiles, and the carried values of the shards.
  void gather_state() override {
    if (ranks_ == 1) return;
    Messages messages;
    const auto gather = [&](int owner, void* data, std::int64_t bytes) {
      if (owner == 0) return;
      if (rank_ == owner) messages.send(0, data, bytes);
      if (rank_ == 0) messages.receive(owner, data, bytes);
    };
    optimizer_.visit_moments(
        [&](std::size_t piece, float* data, Index count) { gather(owner_of_piece(piece), data, count * kFloat); });
    task_.visit_carried([&](const std::string&, std::int64_t shard, std::vector<float>& values) {
      gather(owner_of_shard(shard), values.data(), std::ssize(values) * kFloat);
    });
    transport_->exchange(messages.sent, messages.received);
  }

 private:
  static std::vector<Parameter*> sparse_parameters(TrainingTask& task) {
    std::vector<Parameter*> out;
    task.visit([&](Parameter& p) {
      if (p.sparse && !p.frozen) out.push_back(&p);
    });
    return out;
  }

  std::size_t own_begin() const { return tile_begins_[static_cast<std::size_t>(rank_)]; }
  std::size_t own_end() const { return tile_begins_[static_cast<std::size_t>(rank_) + 1]; }
  Index tile_offset(int rank) const { return layout_.offset(tile_begins_[static_cast<std::size_t>(rank)]); }
  Index tile_size(int rank) const { return tile_offset(rank + 1) - tile_offset(rank); }
  int owner_of_piece(std::size_t piece) const {
    return static_cast<int>(std::upper_bound(tile_begins_.begin(), tile_begins_.end() - 1, piece) -
                            tile_begins_.begin()) -
           1;
  }
  int owner_of_shard(std::int64_t shard) const {
    int rank = 0;
    while (owned_shards(rank, ranks_, shards_).end <= shard) ++rank;
    return rank;
  }

  // The nodes of all processes, in order, are the parts of which the whole sum is made.
  std::size_t first_part(int rank) const {
    std::size_t out = 0;
    for (int r = 0; r < rank; ++r) out += nodes_[static_cast<std::size_t>(r)].size();
    return out;
  }
  std::size_t parts() const { return first_part(ranks_); }

  // Returns the part in which the sum of a node will lie.
  std::size_t add_to_program(ShardRange node) {
    std::size_t part = 0;
    for (const auto& of_rank : nodes_)
      for (const ShardRange& owned : of_rank) {
        if (owned == node) return part;
        ++part;
      }
    const std::size_t left = add_to_program(left_of(node)), right = add_to_program(right_of(node));
    program_.emplace_back(left, right);
    return left;
  }

  void compute(ShardRange node, std::int64_t batch, std::int64_t step, GradientSum& sum) {
    if (node.size() == 1) {
      const double weight = run_shard(batch, step, node.first);
      return layout_.take(weight, sum, pool_);
    }
    compute(left_of(node), batch, step, sum);
    const ShardRange right = right_of(node);
    if (right.size() == 1) {
      const double weight = run_shard(batch, step, right.first);
      return layout_.take_and_add(weight, sum, pool_);
    }
    GradientSum other;
    if (!spare_.empty()) {
      other = std::move(spare_.back());
      spare_.pop_back();
    }
    compute(right, batch, step, other);
    layout_.add(other, sum, pool_);
    spare_.push_back(std::move(other));
  }

  // Leaves the gradient of the mean loss of a shard in the parameters; returns the weight of that mean.
  double run_shard(std::int64_t batch, std::int64_t step, std::int64_t index) {
    const Shard shard{index, shards_};
    ShardSums& sums = sums_[static_cast<std::size_t>(index)];
    sums.tokens = task_.prepare_shard(batch, step, shard);
    sums.weight = task_.weight();
    if (sums.weight <= 0) return 0;
    task_.visit_sparse([&](Parameter& p, const std::vector<std::int32_t>& rows) {
      optimizer_.catch_up(p, rows, pool_);
      const auto& all = layout_.sparse_parameters();
      const auto at = std::ranges::find(all, &p);
      if (at == all.end()) return;
      std::vector<std::int32_t>& used = used_rows_[static_cast<std::size_t>(at - all.begin())];
      std::vector<std::int32_t> both;
      std::ranges::set_union(used, rows, std::back_inserter(both));
      used = std::move(both);
    });
    arena_.reset();
    Tape tape(pool_, arena_, Tape::Mode::kTraining, seed_, shard.draw(step));
    sums.loss = task_.forward(tape);
    sums.term = term_of(task_);
    tape.backward();
    if (!std::isfinite(sums.loss) && where_.empty()) where_ = place_not_finite(task_, tape);
    return sums.weight;
  }

  // Words of the first message of a process: losses, their terms, weights and tokens of its shards, the number of rows
  // that it used of each sparse parameter, and the number of those with a gradient in each of its nodes.
  std::size_t header_words(int rank) const {
    const auto shards = static_cast<std::size_t>(owned_shards(rank, ranks_, shards_).size());
    return shards * kShardWords + used_rows_.size() * (1 + nodes_[static_cast<std::size_t>(rank)].size());
  }

  void exchange_sums() {
    if (ranks_ == 1) return;
    std::vector<std::vector<double>> headers(static_cast<std::size_t>(ranks_));
    std::vector<std::vector<std::int32_t>> ids(static_cast<std::size_t>(ranks_));
    for (int r = 0; r < ranks_; ++r) headers[static_cast<std::size_t>(r)].resize(header_words(r));
    write_header(headers[static_cast<std::size_t>(rank_)], ids[static_cast<std::size_t>(rank_)]);
    to_all(headers);
    for (int r = 0; r < ranks_; ++r)
      if (r != rank_) ids[static_cast<std::size_t>(r)].resize(read_header(r, headers[static_cast<std::size_t>(r)]));
    to_all(ids);
    for (int r = 0; r < ranks_; ++r)
      if (r != rank_) read_ids(r, headers[static_cast<std::size_t>(r)], ids[static_cast<std::size_t>(r)]);
  }

  // Numbers of rows are exact as doubles.
  void write_header(std::vector<double>& header, std::vector<std::int32_t>& ids) const {
    std::size_t at = 0;
    const ShardRange own = owned_shards(rank_, ranks_, shards_);
    for (std::int64_t s = own.first; s < own.end; ++s) {
      const ShardSums& sums = sums_[static_cast<std::size_t>(s)];
      for (const double word : {sums.loss, sums.term, sums.weight, static_cast<double>(sums.tokens)})
        header[at++] = word;
    }
    const auto append = [&](const std::vector<std::int32_t>& rows) {
      header[at++] = static_cast<double>(rows.size());
      ids.insert(ids.end(), rows.begin(), rows.end());
    };
    for (std::size_t k = 0; k < used_rows_.size(); ++k) {
      append(used_rows_[k]);
      for (std::size_t n = 0; n < nodes_[static_cast<std::size_t>(rank_)].size(); ++n)
        append(parts_[first_part(rank_) + n].sparse[k].ids);
    }
  }

  // Returns the number of ids that follow.
  std::size_t read_header(int rank, const std::vector<double>& header) {
    std::size_t at = 0;
    const ShardRange theirs = owned_shards(rank, ranks_, shards_);
    for (std::int64_t s = theirs.first; s < theirs.end; ++s, at += kShardWords)
      sums_[static_cast<std::size_t>(s)] = {header[at], header[at + 1], header[at + 2],
                                            static_cast<std::int64_t>(header[at + 3])};
    double ids = 0;
    for (; at < header.size(); ++at) ids += header[at];
    return static_cast<std::size_t>(ids);
  }

  // Takes the ids of a process's nodes, and brings up to date the rows that it has used, as that process has done.
  void read_ids(int rank, const std::vector<double>& header, const std::vector<std::int32_t>& ids) {
    auto at = header.begin() + static_cast<std::ptrdiff_t>(kShardWords) * owned_shards(rank, ranks_, shards_).size();
    auto id = ids.begin();
    const auto next = [&] {
      const auto first = id;
      id += static_cast<std::ptrdiff_t>(*at++);
      return std::vector<std::int32_t>(first, id);
    };
    for (std::size_t k = 0; k < used_rows_.size(); ++k) {
      Parameter& p = *layout_.sparse_parameters()[k];
      optimizer_.catch_up(p, next(), pool_);
      for (std::size_t n = 0; n < nodes_[static_cast<std::size_t>(rank)].size(); ++n) {
        GradientSum& part = parts_[first_part(rank) + n];
        part.sparse.resize(used_rows_.size());
        part.sparse[k].ids = next();
        part.sparse[k].rows.resize(std::ssize(part.sparse[k].ids) * p.row_size());
      }
    }
  }

  // Sends this process's values to all others, by rank.
  template <class Value>
  void to_all(std::vector<std::vector<Value>>& values) {
    if (ranks_ == 1) return;
    Messages messages;
    for (int r = 0; r < ranks_; ++r) {
      if (r == rank_) continue;
      const auto& own = values[static_cast<std::size_t>(rank_)];
      auto& theirs = values[static_cast<std::size_t>(r)];
      messages.send(r, own.data(), std::ssize(own) * static_cast<std::int64_t>(sizeof(Value)));
      messages.receive(r, theirs.data(), std::ssize(theirs) * static_cast<std::int64_t>(sizeof(Value)));
    }
    transport_->exchange(messages.sent, messages.received);
  }

  // Parts of other processes hold this process's tile alone.
  void exchange_gradients() {
    if (ranks_ == 1) return;
    Messages messages;
    halves_.resize(narrow_ ? parts() : 0);
    for (int r = 0; r < ranks_; ++r)
      for (std::size_t n = 0; n < nodes_[static_cast<std::size_t>(r)].size(); ++n) {
        if (r == rank_)
          send_part(first_part(r) + n, messages);
        else
          receive_part(first_part(r) + n, r, messages);
      }
    transport_->exchange(messages.sent, messages.received);
    for (int r = 0; r < ranks_ && narrow_; ++r)
      for (std::size_t n = 0; n < nodes_[static_cast<std::size_t>(r)].size(); ++n) {
        const std::size_t part = first_part(r) + n;
        if (r != rank_) kernels::from_halves(halves_[part].data(), parts_[part].dense.data(), tile_size(rank_));
      }
  }

  void send_part(std::size_t index, Messages& messages) {
    const GradientSum& part = parts_[index];
    if (narrow_) {
      halves_[index].resize(static_cast<std::size_t>(layout_.size()));
      kernels::take_halves(part.dense.data(), halves_[index].data(), layout_.size());
    }
    for (int r = 0; r < ranks_; ++r) {
      if (r == rank_) continue;
      if (narrow_)
        messages.send(r, halves_[index].data() + tile_offset(r), tile_size(r) * kHalf);
      else
        messages.send(r, part.dense.data() + tile_offset(r), tile_size(r) * kFloat);
      for (const GradientRows& rows : part.sparse)
        messages.send(r, rows.rows.data(), static_cast<Index>(rows.rows.size()) * kFloat);
    }
  }

  void receive_part(std::size_t index, int from, Messages& messages) {
    GradientSum& part = parts_[index];
    const Index size = tile_size(rank_);
    if (static_cast<Index>(part.dense.size()) != size) part.dense.resize(size);
    if (narrow_) {
      halves_[index].resize(static_cast<std::size_t>(size));
      messages.receive(from, halves_[index].data(), size * kHalf);
    } else {
      messages.receive(from, part.dense.data(), size * kFloat);
    }
    for (GradientRows& rows : part.sparse)
      messages.receive(from, rows.rows.data(), static_cast<Index>(rows.rows.size()) * kFloat);
  }

  // Leaves the sum over all shards in the parameters: of the dense ones the own tile.
  void add_up() {
    const ShardRange own{static_cast<std::int64_t>(first_part(rank_)),
                         static_cast<std::int64_t>(first_part(rank_ + 1))};
    const auto tile_of = [&](std::size_t part) {
      const bool whole = own.first <= static_cast<std::int64_t>(part) && static_cast<std::int64_t>(part) < own.end;
      return parts_[part].dense.data() + (whole ? tile_offset(rank_) : 0);
    };
    pool_.parallel_for(static_cast<std::int64_t>(own_end() - own_begin()), [&](std::int64_t i) {
      const std::size_t piece = own_begin() + static_cast<std::size_t>(i);
      const auto& [parameter, at, count] = layout_.pieces()[piece];
      const Index offset = layout_.offset(piece) - tile_offset(rank_);
      for (const auto& [to, from] : program_) layout_.add(tile_of(from) + offset, tile_of(to) + offset, count);
      std::copy_n(tile_of(0) + offset, count, parameter->gradient.data() + at);
    });
    for (std::size_t k = 0; k < used_rows_.size(); ++k) {
      Parameter& p = *layout_.sparse_parameters()[k];
      for (const auto& [to, from] : program_) parts_[to].sparse[k].add(parts_[from].sparse[k], p.row_size());
      p.touched = std::move(parts_.front().sparse[k].ids);
      std::swap(p.gradient, parts_.front().sparse[k].rows);
    }
  }

  double sum_of_squares() {
    std::vector<std::vector<double>> squares(static_cast<std::size_t>(ranks_));
    for (int r = 0; r < ranks_; ++r)
      squares[static_cast<std::size_t>(r)].resize(tile_begins_[static_cast<std::size_t>(r) + 1] -
                                                  tile_begins_[static_cast<std::size_t>(r)]);
    squares[static_cast<std::size_t>(rank_)] = optimizer_.dense_squares(pool_);
    to_all(squares);
    double sum = 0;
    for (const auto& of_rank : squares)
      for (const double square : of_rank) sum += square;
    for (const double square : optimizer_.sparse_squares(pool_)) sum += square;
    return sum;
  }

  // The values of a process's tile, as few runs of floats as there are parameters in it.
  template <class Use>
  void for_runs(int rank, const Use& use) {
    const auto& pieces = layout_.pieces();
    const std::size_t end = tile_begins_[static_cast<std::size_t>(rank) + 1];
    for (std::size_t i = tile_begins_[static_cast<std::size_t>(rank)]; i < end;) {
      const auto& [parameter, at, first_count] = pieces[i];
      Index count = first_count;
      for (++i; i < end && pieces[i].parameter == parameter; ++i) count += pieces[i].count;
      use(parameter->value.data() + at, count);
    }
  }

  TrainingTask& task_;
  const std::uint64_t seed_;
  const std::int64_t shards_;
  Optimizer& optimizer_;
  ThreadPool& pool_;
  Transport* transport_;
  const int rank_, ranks_;
  const bool narrow_;  // gradients are sent as bfloat16
  const GradientLayout layout_;
  std::vector<std::vector<ShardRange>> nodes_;                // [ranks]
  std::vector<std::size_t> tile_begins_;                      // [ranks + 1] pieces
  std::vector<std::pair<std::size_t, std::size_t>> program_;  // part `second` is added to part `first`
  Arena arena_;
  std::vector<ShardSums> sums_;                       // [shards]
  std::vector<std::vector<std::int32_t>> used_rows_;  // by sparse parameter, by the own shards of this step
  std::vector<GradientSum> parts_, spare_;
  std::vector<std::vector<std::uint16_t>> halves_;  // [parts] what is sent and received, if narrow
  double weight_ = 1;
  std::string where_;
};

}  // namespace

std::unique_ptr<BatchStep> make_sharded_step(TrainingTask& task, const Config& config, Optimizer& optimizer,
                                             ThreadPool& pool, Transport* transport) {
  return std::make_unique<ShardedStep>(task, config, optimizer, pool, transport);
}

void check_shards(std::int64_t shards, int ranks) {
  if (ranks > shards)
    throw UsageError(
        fmt::format("training.shards is {}, expected at least the number of processes, {}: each computes one or more "
                    "shards of a batch; --set training.shards={}",
                    shards, ranks, ranks));
}

ShardRange owned_shards(int rank, int ranks, std::int64_t shards) { return Shard{rank, ranks}.range(shards); }

std::vector<std::int64_t> tile_sizes(const std::vector<Optimizer::Piece>& pieces, int ranks) {
  const std::vector<std::size_t> begins = tile_begins(pieces, ranks);
  std::vector<std::int64_t> out(static_cast<std::size_t>(ranks));
  for (std::size_t r = 0; r < out.size(); ++r)
    for (std::size_t i = begins[r]; i < begins[r + 1]; ++i) out[r] += pieces[i].count;
  return out;
}

std::int64_t dense_bytes_sent(int rank, const TrainingConfig& training, const std::vector<std::int64_t>& tiles) {
  const auto ranks = static_cast<int>(tiles.size());
  const std::int64_t gradient = training.bfloat16_exchange() ? kHalf : kFloat;
  std::int64_t out = 0;
  for (int other = 0; other < ranks; ++other)
    if (other != rank)
      out += std::ssize(owned_nodes(rank, ranks, training.shards)) * tiles[static_cast<std::size_t>(other)] * gradient +
             tiles[static_cast<std::size_t>(rank)] * kFloat;
  return out;
}

}  // namespace mnemo
