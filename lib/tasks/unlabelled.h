// A language model of the texts of train, and of text without labels, from which a classifier then starts (Dai & Le
// 2015, "Semi-supervised Sequence Learning").
#pragma once

#include <memory>
#include <string>

#include "tasks/task.h"

namespace mnemo {

/// The folder, in that of a run, of the language model that is trained first.
std::string language_folder(const std::string& run_folder);
/// Removes it with its text if nothing else is left in it, as when its run was removed.
void remove_language_folder(const std::string& run_folder);

/// The language model that is trained first, before its training.
struct FirstModel {
  Config config;
  std::unique_ptr<TaskData> data;
  std::unique_ptr<TextModel> model;
};

/// Writes the texts of train and of data.unlabelled, each one line, to a file in `folder`, the language model's, and
/// builds a language model of it with the units, cell and sizes of `config`. The texts of dev and test are not written;
/// where data.unlabelled has them too, that is reported. The records of `data` are RecordSets, and a model of the task
/// must borrow from language models. Throws as readers and builders do.
FirstModel prepare_language_model(const Config& config, const ReadRequest& request, const TaskData& data,
                                  const std::string& folder);

/// Throws UsageError if the language model in `folder` was trained on other texts than those that the configuration
/// names now. Without its text, which is not needed any more, nothing is compared.
void check_same_texts(const Config& config, const ReadRequest& request, const TaskData& data,
                      const std::string& folder);

/// "language model: 44 texts, 260 units, 4 epochs".
std::string describe(const FirstModel& first);

/// Makes the model of `config` and whatever its training needs, and lets it start from the untrained language model, so
/// that what cannot be done is refused before hours of training. Throws UsageError where the start is refused.
void try_start(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
               const TextModel& language_model);

/// Trains it into language_folder(options.folder), or resumes or completes it as `options` say. Throws as runs do.
TrainingOutcome train_language_model(const FirstModel& first, TrainerOptions options, ThreadPool& pool);

}  // namespace mnemo
