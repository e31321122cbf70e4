#include "report/learning_curves.h"

#include "base/json.h"
#include "train/log_file.h"

namespace mnemo {

std::vector<CurveChart> learning_curves(const std::string& log_file, const std::string& metric) {
  CurveChart loss{"Loss", {{"train", {}}, {"dev", {}}}}, value{metric + " on dev", {{metric, {}}}};
  for (const Json& line : read_log(log_file)) {
    if (!line.contains("loss") || !line["loss"].is_number()) continue;
    const double step = line.value("step", 0.0), l = line["loss"].get<double>();
    const bool eval = line.value("kind", "") == "eval";
    loss.curves[eval ? 1 : 0].points.emplace_back(step, l);
    if (eval && line.contains("metrics") && line["metrics"].contains(metric) && line["metrics"][metric].is_number())
      value.curves[0].points.emplace_back(step, line["metrics"][metric].get<double>());
  }
  std::vector<CurveChart> out;
  if (!loss.curves[0].points.empty()) out.push_back(loss);
  if (!value.curves[0].points.empty()) out.push_back(value);
  return out;
}

}  // namespace mnemo
