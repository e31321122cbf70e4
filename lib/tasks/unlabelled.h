// A language model of the texts of train, and of text without labels, from which a classifier then starts (Dai & Le 2015, "Semi-supervised
// Sequence Learning").
#pragma once

#include <string>

#include "tasks/task.h"

namespace mnemo {

/// The folder, in that of a run, of the language model that is trained first.
std::string language_folder(const std::string& run_folder);

/// Trains a language model of the texts of train and of data.unlabelled, each text one line, with the units, cell and
/// sizes of `config`, into language_folder(options.folder), or resumes or completes it as `options` say. The texts of
/// dev and test are not read. A model of the task must borrow from language models. Throws as readers and runs do.
TrainingOutcome train_language_model(const Config& config, const ReadRequest& request, const RecordSet& train,
                                     TrainerOptions options, ThreadPool& pool);

}  // namespace mnemo
