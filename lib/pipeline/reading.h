// A text as a model reads it, beside the text itself and its gold labels.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "nn/cell_trace.h"

namespace mnemo {

struct Reading {
  CellTrace trace;           ///< may have other networks than the one that reads the text
  std::string network = {};  ///< the one whose steps are the text's units
  std::string text = {};     ///< valid UTF-8
  /// [steps] bytes [begin, end) of the text; empty if it is read from its end.
  std::vector<std::pair<std::size_t, std::size_t>> places = {};
  /// Gold labels: of each step or, if there is one list, of the whole text; empty where the data have none.
  std::vector<std::vector<std::string>> labels = {};
  bool continues = false;  ///< the text goes on where the previous one ended, and so does the network's state
};

}  // namespace mnemo
