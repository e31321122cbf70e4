// The attention of a search's hypotheses, kept for as long as one of them needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

namespace mnemo {

/// What one step of a decoder gave to each unit of the source [S], with 0 for shares below kLeastShare. Takes 4 bytes
/// for each unit of the source or, where most shares are 0, 8 for each of the others; copies share them.
class AttentionRow {
 public:
  static constexpr float kLeastShare = 5e-5f;  ///< below, a share of four digits is 0

  AttentionRow() = default;
  explicit AttentionRow(std::span<const float> shares);
  AttentionRow(std::initializer_list<float> shares) : AttentionRow(std::span(shares.begin(), shares.size())) {}

  std::vector<float> shares() const;  ///< [S]
  std::size_t bytes() const;          ///< that the shares take
  bool operator==(const AttentionRow& other) const { return shares() == other.shares(); }

 private:
  struct Content {
    std::size_t size = 0;
    std::vector<std::int32_t> places;  // of the values; empty: they are those of all units
    std::vector<float> values;
  };
  std::shared_ptr<const Content> content_;  // null: no unit
};

/// The last step of a hypothesis, linked to the one before. Hypotheses that begin alike share the links of their
/// beginning, and the links that no hypothesis has any more are freed: rows of abandoned ones would take as many times
/// the memory as the beam is wide.
struct AttentionLink {
  AttentionLink(AttentionRow its_row, std::shared_ptr<AttentionLink> link_before);
  ~AttentionLink();
  AttentionLink(const AttentionLink&) = delete;
  AttentionLink& operator=(const AttentionLink&) = delete;

  AttentionRow row;
  std::shared_ptr<AttentionLink> before;  ///< null at the first step
};
using AttentionChain = std::shared_ptr<AttentionLink>;

/// The rows of the first `steps` steps of a chain, which has at least as many.
std::vector<AttentionRow> rows_of(const AttentionChain& chain, std::size_t steps);

}  // namespace mnemo
