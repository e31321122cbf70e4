// Which name is offered for a mistyped one, if any.
#include "config/nearest.h"

#include "tests/catch.h"

using mnemo::nearest_if_near;

TEST_CASE("a name is offered if at most half of the longer one differs") {
  const std::vector<std::string> names{"--top", "--threads", "--folds", "--help"};
  CHECK(nearest_if_near("--tpo", names) == "--top");
  CHECK(nearest_if_near("--fold", names) == "--folds");
  CHECK(nearest_if_near("--epochs", names).empty());
  CHECK(nearest_if_near("--", names).empty());
  CHECK(nearest_if_near("", names).empty());
  CHECK(nearest_if_near(std::string(100'000, 'x'), names).empty());
}

TEST_CASE("the last part of a dotted name is near to all of it, however long that is") {
  const std::vector<std::string> keys{"training", "training.epochs", "training.early_stopping.patience"};
  CHECK(nearest_if_near("patience", keys) == "training.early_stopping.patience");
  CHECK(nearest_if_near("epochs", keys) == "training.epochs");
  CHECK(nearest_if_near("training.epocsh", keys) == "training.epochs");
  CHECK(nearest_if_near("a.b", keys).empty());
}
