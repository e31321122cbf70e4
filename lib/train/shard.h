// How a batch is dealt to shards, and the order in which what they compute is added.
//
// With training.shards S above 1 the gradient of a batch is the sum of the gradients of S shards, each with a part of
// the batch's records. They are added along one balanced binary tree over the shard numbers 0 .. S - 1, which depends
// on S alone, so that the sum has the same bits whoever computes which part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mnemo {

/// Shards, parts, records [first, end).
struct ShardRange {
  std::int64_t first = 0, end = 0;

  std::int64_t size() const { return end - first; }
  bool operator==(const ShardRange&) const = default;
};

/// One of `count` shards; by default the only one.
struct Shard {
  std::int64_t index = 0, count = 1;

  /// The records of a batch at positions index, index + count, ... As batches are sorted by length, each shard gets
  /// short and long ones.
  std::vector<std::int64_t> dealt(const std::vector<std::int64_t>& batch) const {
    std::vector<std::int64_t> out;
    for (auto i = static_cast<std::size_t>(index); i < batch.size(); i += static_cast<std::size_t>(count))
      out.push_back(batch[i]);
    return out;
  }

  /// The shard's part of `items` things in a row.
  ShardRange range(std::int64_t items) const { return {items * index / count, items * (index + 1) / count}; }

  /// The number that names the random masks of this shard in a step: no two shards share it.
  std::uint64_t draw(std::int64_t step) const { return static_cast<std::uint64_t>(step * count + index); }
};

/// The two halves of a node of the tree that has more than one shard; the left one has the odd shard.
inline ShardRange left_of(ShardRange node) { return {node.first, node.first + (node.size() + 1) / 2}; }
inline ShardRange right_of(ShardRange node) { return {left_of(node).end, node.end}; }

/// The largest nodes of the tree that lie within `owned`, in order: what their owner can add up alone.
inline void append_whole_nodes(ShardRange node, ShardRange owned, std::vector<ShardRange>& out) {
  if (node.end <= owned.first || owned.end <= node.first) return;
  if (owned.first <= node.first && node.end <= owned.end) return out.push_back(node);
  append_whole_nodes(left_of(node), owned, out);
  append_whole_nodes(right_of(node), owned, out);
}

}  // namespace mnemo
