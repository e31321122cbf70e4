// The models that a server answers with, each under a name.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "pipeline/text_model.h"

namespace mnemo {

struct ServedModel {
  std::string name, path;
  std::string sha256;  ///< of the file
  std::shared_ptr<const TextModel> model;
};

/// May be used by any thread; `reload` by one at a time.
class ServedModels {
 public:
  using List = std::vector<ServedModel>;

  /// Loads them and has each answer the samples in its file. `files`: FILE or NAME=FILE; without a name a file is named
  /// after itself, or after its folder if it is model.safetensors. Throws Error for a file that is not a valid model or
  /// fails its self test, UsageError for a name that is given twice or is not printable UTF-8.
  explicit ServedModels(const std::vector<std::string>& files);

  std::shared_ptr<const List> list() const;

  /// Loads each file again beside the model that it replaces. A model whose file is bad stays. Requests that wait are
  /// answered by the model that they were made for. Both logs get a line a model. Returns how many were loaded.
  std::size_t reload(const Log& loaded, const Log& refused);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const List> list_;
};

}  // namespace mnemo
