#include "decode/attention_links.h"

#include <algorithm>
#include <utility>

namespace mnemo {

AttentionRow::AttentionRow(std::span<const float> shares) {
  auto content = std::make_shared<Content>();
  content->size = shares.size();
  const auto large = [](float share) { return share >= kLeastShare; };
  const auto kept = static_cast<std::size_t>(std::ranges::count_if(shares, large));
  const bool all = 2 * kept >= shares.size();
  content->values.reserve(all ? shares.size() : kept);
  if (!all) content->places.reserve(kept);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (all) {
      content->values.push_back(large(shares[i]) ? shares[i] : 0.0f);
    } else if (large(shares[i])) {
      content->places.push_back(static_cast<std::int32_t>(i));
      content->values.push_back(shares[i]);
    }
  }
  content_ = std::move(content);
}

std::vector<float> AttentionRow::shares() const {
  if (!content_) return {};
  if (content_->values.size() == content_->size) return content_->values;
  std::vector<float> out(content_->size, 0.0f);
  for (std::size_t k = 0; k < content_->places.size(); ++k)
    out[static_cast<std::size_t>(content_->places[k])] = content_->values[k];
  return out;
}

std::size_t AttentionRow::bytes() const {
  if (!content_) return 0;
  return content_->values.capacity() * sizeof(float) + content_->places.capacity() * sizeof(std::int32_t);
}

AttentionLink::AttentionLink(AttentionRow its_row, std::shared_ptr<AttentionLink> link_before)
    : row(std::move(its_row)), before(std::move(link_before)) {}

// One link after the other: freed by one another, those of a long text would take the stack for each.
AttentionLink::~AttentionLink() {
  std::shared_ptr<AttentionLink> next = std::move(before);
  while (next && next.use_count() == 1) next = std::move(next->before);
}

std::vector<AttentionRow> rows_of(const AttentionChain& chain, std::size_t steps) {
  std::vector<AttentionRow> out;
  for (const AttentionLink* link = chain.get(); link; link = link->before.get()) out.push_back(link->row);
  std::ranges::reverse(out);
  out.resize(steps);
  return out;
}

}  // namespace mnemo
