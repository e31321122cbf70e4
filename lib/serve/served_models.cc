#include "serve/served_models.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/shown.h"
#include "checkpoint/model_file.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

std::string name_of_file(const std::string& path) {
  const std::filesystem::path file(path);
  std::string name = file.stem().string();
  if (name != "model" || !file.has_parent_path()) return name;
  const std::string folder = std::filesystem::absolute(file).lexically_normal().parent_path().filename().string();
  return folder.empty() ? name : folder;
}

ServedModel named(const std::string& given) {
  const std::size_t sign = given.find('=');
  if (sign == std::string::npos || sign == 0 || file_exists(given)) return {name_of_file(given), given, "", nullptr};
  return {given.substr(0, sign), given.substr(sign + 1), "", nullptr};
}

// The name goes into metrics and answers, which are UTF-8.
void check_name(const ServedModel& one) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  if (!one.name.empty() && !find_invalid_utf8(one.name) && std::ranges::none_of(one.name, is_control)) return;
  throw UsageError(
      fmt::format("{}: expected the name of a model to be UTF-8 without control characters, found \"{}\"; NAME=FILE "
                  "gives it another one",
                  shown(one.path), shown(one.name)));
}

void load_served(ServedModel& served) {
  // To open a pipe could take for ever.
  std::error_code error;
  const auto type = std::filesystem::status(served.path, error).type();
  if (!error && type != std::filesystem::file_type::regular)
    fail("{}: expected a model file, found no regular file", shown(served.path));
  // Hash and model are those of the same bytes, whatever happens to the file meanwhile.
  std::string bytes = read_file(served.path);
  served.sha256 = sha256(bytes);
  auto model =
      TextModel::from_contents(parse_model(SafetensorsFile::parse(std::move(bytes), served.path), std::string()));
  ThreadPool pool(1);
  model->prepare_skills(pool);
  if (!model->metadata().self_test.empty())
    if (const double difference = model->verify(pool); !(difference <= TextModel::kVerifyTolerance))
      fail("{}: not verified: a stored sample's probability differs by {:.3g}, expected at most {}", served.path,
           difference, TextModel::kVerifyTolerance);
  served.model = std::move(model);
}

}  // namespace

ServedModels::ServedModels(const std::vector<std::string>& files) {
  auto list = std::make_shared<List>();
  for (const std::string& file : files) {
    ServedModel one = named(file);
    check_name(one);
    for (const ServedModel& other : *list)
      if (other.name == one.name)
        throw UsageError(fmt::format("{}, {}: both would be served as \"{}\"; NAME={} names one of them",
                                     shown(other.path), shown(one.path), shown(one.name), shown(one.path)));
    list->push_back(std::move(one));
  }
  for (ServedModel& one : *list) load_served(one);
  list_ = std::move(list);
}

std::shared_ptr<const ServedModels::List> ServedModels::list() const {
  const std::lock_guard lock(mutex_);
  return list_;
}

std::size_t ServedModels::reload(const Log& loaded, const Log& refused) {
  auto next = std::make_shared<List>(*list());
  std::size_t count = 0;
  for (ServedModel& one : *next) {
    ServedModel fresh{one.name, one.path, "", nullptr};
    try {
      load_served(fresh);
    } catch (const std::exception& error) {
      refused(fmt::format("{}: not loaded, the model stays as it was: {}", one.name, error.what()));
      continue;
    }
    loaded(fmt::format("{}: loaded {}, sha256 {}{}", one.name, one.path, fresh.sha256,
                       fresh.sha256 == one.sha256 ? ", the same as before" : ""));
    one = std::move(fresh);
    ++count;
  }
  const std::lock_guard lock(mutex_);
  list_ = std::move(next);
  return count;
}

}  // namespace mnemo
