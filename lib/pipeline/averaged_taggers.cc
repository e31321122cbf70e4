#include "pipeline/averaged_taggers.h"

#include "base/error.h"
#include "base/shown.h"
#include "pipeline/same_labels.h"

namespace mnemo {

void AveragedTaggers::add(const TextTagger& model, const std::string& name, const std::string& first_name) {
  const std::vector<TagColumn>&columns = models_.front()->columns(), &its = model.columns();
  if (its.size() != columns.size())
    fail("{}: predicts {} columns, {} {}: scores can be averaged only over the same tags", name, its.size(), first_name,
         columns.size());
  for (std::size_t k = 0; k < columns.size(); ++k) {
    if (finds_words(its[k].name) != finds_words(columns[k].name))
      fail("{}: one of this model and {} finds words, the other tags tokens", name, first_name);
    if (its[k].scheme != columns[k].scheme)
      fail("{}: its column {} is learned in the scheme {}, the column {} of {} in {}; model.scheme sets it", name,
           shown(its[k].name), name_of(its[k].scheme), shown(columns[k].name), first_name, name_of(columns[k].scheme));
    check_same_labels({its[k].tags, name}, {columns[k].tags, first_name}, "tag", "scores");
  }
  models_.push_back(&model);
}

std::vector<std::vector<PredictedTags>> AveragedTaggers::predict(std::span<const TaggerCorpus> corpora,
                                                                 const TagRequest& request,
                                                                 Workspace& workspace) const {
  const TextTagger& first = *models_.front();
  const TaggerCorpus& corpus = corpora.front();
  if (models_.size() == 1) return first.predict(corpus, request, workspace);
  const std::size_t columns = first.columns().size();
  std::vector<std::vector<ChainScores>> scores(corpus.size(), std::vector<ChainScores>(columns));
  std::vector<std::vector<Chain>> chains(columns);
  for (std::size_t m = 0; m < models_.size(); ++m) {
    const std::vector<TagDecoder> its_decoders = models_[m]->decoders();
    for (std::size_t k = 0; k < columns; ++k) chains[k].push_back(its_decoders[k].chain());
    models_[m]->for_sentences(corpora[m], workspace, [&](std::int64_t i, std::size_t k, ChainScores& its) {
      if (m == 0)
        scores[i][k] = its;
      else
        scores[i][k].add(its);
    });
  }
  std::vector<TagDecoder> decoders;
  for (std::size_t k = 0; k < columns; ++k) decoders.emplace_back(first.columns()[k], Chain::mean_of(chains[k]));
  std::vector<std::vector<PredictedTags>> out(corpus.size(), std::vector<PredictedTags>(columns));
  workspace.pool.parallel_for(corpus.size(), [&](std::int64_t i) {
    for (std::size_t k = 0; k < columns; ++k) {
      ChainScores& sum = scores[i][k];
      if (sum.length() == 0) continue;
      sum.divide(static_cast<double>(models_.size()));
      decoders[k].keep_breaks(corpus.breaks_of(i), sum);
      out[i][k] = decoders[k].decode(sum, request, corpus.gold_of(k, i));
    }
  });
  return out;
}

}  // namespace mnemo
