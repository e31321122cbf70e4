// Looking at what a model computes over data, rather than at its answers: as in training, but without its noise.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "report/context.h"
#include "report/reach.h"
#include "report/saturation.h"
#include "tasks/task.h"

namespace mnemo {

/// A model whose training draws nothing at random: dropout, zoneout and label smoothing are off. Throws as
/// TextModel::load.
std::unique_ptr<TextModel> load_without_noise(const std::string& path);

/// Counts the gates over the first `most` units or so of the data, batch by batch.
Saturation saturation_over(TextModel& model, std::unique_ptr<Dataset> data, std::int64_t most, ThreadPool& pool);

/// The gradients of the loss over some `most` records or, of a stream, as many stretches of longest + 1 units.
GradientTrace gradients_over(TextModel& model, const TaskData& data, std::int64_t most, std::int64_t longest,
                             ThreadPool& pool);

/// Networks beside the model's: the same configuration with another cell, at initialisation and, if `epochs` is above
/// 0, trained on the data for so long. What a cell cannot have is left out, and a note says so.
struct BesideOptions {
  std::vector<std::string> cells;
  std::int64_t epochs = 0;
};

/// The reach of the gradients of a model and those beside it. Throws UsageError for a cell that the configuration does
/// not admit.
Findings gradient_flow(TextModel& model, std::unique_ptr<Dataset> data, std::int64_t most, std::int64_t longest,
                       const BesideOptions& beside, const std::string& title, const Log& log, ThreadPool& pool);

/// The loss at some `most` places by how many units before them the network reads: 1, 2, 4 and so on, up to `longest`.
Findings context_use(const TextModel& model, const Dataset& data, std::int64_t most, std::int64_t longest,
                     const std::string& title, ThreadPool& pool);

}  // namespace mnemo
