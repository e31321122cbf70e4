#include "tasks/translate/dictionary.h"

#include <algorithm>
#include <vector>

#include "pipeline/translation.h"
#include "text/string_table.h"

namespace mnemo {
namespace {

constexpr int kPasses = 5;

std::vector<std::int32_t> ids_of(std::string_view line, const TextConfig& text, StringTable& table) {
  std::vector<std::int32_t> out;
  for (const auto& [begin, end] : words_of(line, text)) out.push_back(table.insert(line.substr(begin, end - begin)));
  return out;
}

}  // namespace

Dictionary::Dictionary(const TextTranslator& model, const PairSet& train) : model_(model) {
  StringTable sources, targets;
  const std::int32_t empty = sources.insert("");
  std::vector<std::pair<std::vector<std::int32_t>, std::vector<std::int32_t>>> pairs;
  for (const PairSet::Entry& entry : train.entries()) {
    pairs.emplace_back(ids_of(entry.source, model.source().text, sources),
                       ids_of(entry.target, model.target().text, targets));
    pairs.back().first.push_back(empty);
  }
  // t of each pair of words that occurs in a line, by key; all equal at first.
  const auto key = [](std::int32_t s, std::int32_t t) {
    return static_cast<std::uint64_t>(s) << 32 | static_cast<std::uint32_t>(t);
  };
  std::unordered_map<std::uint64_t, double> probability;
  for (int pass = 0; pass < kPasses; ++pass) {
    std::unordered_map<std::uint64_t, double> counts;
    std::vector<double> totals(sources.size(), 0.0);
    const auto t_of = [&](std::int32_t s, std::int32_t t) { return pass == 0 ? 1.0 : probability[key(s, t)]; };
    for (const auto& [source, target] : pairs)
      for (const std::int32_t t : target) {
        double sum = 0;
        for (const std::int32_t s : source) sum += t_of(s, t);
        for (const std::int32_t s : source) {
          const double share = t_of(s, t) / sum;
          counts[key(s, t)] += share;
          totals[s] += share;
        }
      }
    for (auto& [pair, count] : counts) count /= totals[pair >> 32];
    probability = std::move(counts);
  }
  // The best of each source word; of equal ones the first in train.
  std::vector<std::pair<double, std::int32_t>> best(sources.size(), {0.0, -1});
  for (const auto& [pair, p] : probability) {
    auto& [most, word] = best[pair >> 32];
    const auto target = static_cast<std::int32_t>(pair & 0xffffffffu);
    if (p > most || (p == most && target < word)) most = p, word = target;
  }
  for (std::int32_t s = 0; s < static_cast<std::int32_t>(sources.size()); ++s)
    if (s != empty && best[s].second >= 0) best_[std::string(sources.text(s))] = targets.text(best[s].second);
}

std::string Dictionary::translate(std::string_view line) const {
  std::string out;
  const bool blanks = !model_.target().text.has_characters();
  for (const auto& [begin, end] : words_of(line, model_.source().text)) {
    const std::string word(line.substr(begin, end - begin));
    const auto match = best_.find(word);
    if (blanks && !out.empty()) out += ' ';
    out += match == best_.end() ? word : match->second;
  }
  return out;
}

}  // namespace mnemo
