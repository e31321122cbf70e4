#include "tasks/find.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/shown.h"
#include "report/gates.h"

namespace mnemo {
namespace {

// The beginning of the data that is shown in colour, in units.
constexpr std::size_t kColoured = 1500;

// A text of the data; a stream's stretches are one.
struct SearchedText {
  std::string text;
  UnitPlaces places;
  std::vector<std::vector<std::string>> labels;
};

class UnitSearch {
 public:
  UnitSearch(const UnitProperty& property, std::int64_t longest) : property_(property), longest_(longest) {}

  void add(Reading&& reading) {
    std::vector<const CellTrace::Series*> states;
    for (const CellTrace::Layer& layer : reading.trace.layers) {
      if (layer.network != reading.network) continue;
      for (const CellTrace::Series& series : layer.series) {
        if (series.name != "h" && series.name != "c") continue;
        if (texts_.empty())
          for (Index unit = 0; unit < series.units; ++unit)
            units_.push_back({layer.network, layer.cell, direction_name(layer), series.name, layer.layer, unit, {}});
        states.push_back(&series);
      }
    }
    const std::size_t steps = std::min(reading.places.size(), static_cast<std::size_t>(longest_));
    for (std::size_t step = 0; step < steps; ++step)
      for (const CellTrace::Series* series : states) {
        const float* row = series->values.data() + static_cast<Index>(step) * series->units;
        values_.insert(values_.end(), row, row + series->units);
      }
    if (!reading.continues || texts_.empty()) texts_.emplace_back();
    SearchedText& text = texts_.back();
    const std::size_t before = text.text.size();
    text.text += reading.text;
    for (std::size_t step = 0; step < steps; ++step)
      text.places.emplace_back(before + reading.places[step].first, before + reading.places[step].second);
    text.labels.insert(text.labels.end(), reading.labels.begin(), reading.labels.end());
  }

  // Throws UsageError for a label that is none of the data's.
  void check_label() const {
    if (property_.kind() != UnitProperty::Kind::kLabel) return;
    std::set<std::string> known;
    for (const SearchedText& text : texts_)
      for (const std::vector<std::string>& labels : text.labels) {
        if (property_.among(labels)) return;
        known.insert(labels.begin(), labels.end());
      }
    if (known.empty()) throw UsageError("--find label: the model's data have no labels");
    std::vector<std::string> names;
    names.reserve(known.size());
    for (const std::string& label : known) names.push_back(shown(label));
    throw UsageError(fmt::format("--find: no text or unit that was looked at has the {}; there are {}",
                                 shown(property_.name()), abridged(names, 20, ", ")));
  }

  FoundUnits search(ThreadPool& pool) {
    if (texts_.empty()) fail("--find: the data have no units");
    if (units_.empty()) throw UsageError("--find: the network has no recurrent layer that reads the text");
    check_label();
    find_known();
    FoundUnits out;
    out.property = property_.name();
    out.graded = known_.graded;
    out.steps = std::ssize(known_.values);
    for (const SearchedText& text : texts_) out.left_out += std::ssize(text.places);
    out.left_out -= out.steps;
    out.texts = std::ssize(texts_);
    out.present = std::ranges::count(known_.values, 1.0f);
    if (!out.graded && (out.present == 0 || out.present == out.steps))
      fail("--find: {} of {} units have the property ({}), expected some with it and some without", out.present,
           out.steps, out.property);
    const auto units = std::ssize(units_);
    std::vector<float> values;
    values.reserve(rows_.size() * units_.size());
    for (const Index row : rows_)
      values.insert(values.end(), values_.begin() + row * units, values_.begin() + (row + 1) * units);
    const std::vector<Following> following = find_following(values, units, known_, 1, pool);
    for (Index unit = 0; unit < units; ++unit) units_[unit].following = following[unit];
    std::vector<Index> order(units_.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::ranges::stable_sort(order, std::greater(), [&](Index unit) {
      return std::abs(units_[unit].following.score - (known_.graded ? 0.0 : 0.5));
    });
    for (const Index unit : order) out.units.push_back(units_[unit]);
    if (!known_.graded) out.curve = curve(order[0]);
    out.beginning = coloured(order[0]);
    return out;
  }

 private:
  // The property of the steps of which it can be said, and their rows among the values.
  void find_known() {
    const bool labels = property_.kind() == UnitProperty::Kind::kLabel;
    const bool of_texts = labels && std::ranges::all_of(texts_, [](const auto& t) { return t.labels.size() == 1; });
    known_.graded = property_.kind() == UnitProperty::Kind::kPosition;
    known_.exchange = known_.graded ? Exchange::kRotateTexts : of_texts ? Exchange::kTexts : Exchange::kRotate;
    Index row = 0;
    const auto end_text = [&] {
      if (const auto end = std::ssize(known_.values); end > (known_.ends.empty() ? 0 : known_.ends.back()))
        known_.ends.push_back(end);
    };
    for (const SearchedText& text : texts_) {
      for (const float value : labels ? labelled(text) : property_.values(text.text, text.places)) {
        // A line of a stream is a text of its own.
        if (known_.graded && value == 0) end_text();
        if (!std::isnan(value)) {
          known_.values.push_back(value);
          rows_.push_back(row);
        }
        ++row;
      }
      end_text();
    }
  }

  std::vector<float> labelled(const SearchedText& text) const {
    std::vector<float> out;
    for (std::size_t step = 0; step < text.places.size(); ++step)
      out.push_back(property_.among(text.labels[text.labels.size() == 1 ? 0 : step]) ? 1.0f : 0.0f);
    return out;
  }

  float value(Index row, Index unit) const { return values_[row * std::ssize(units_) + unit]; }

  // The ROC curve at some hundred thresholds.
  std::vector<std::pair<double, double>> curve(Index unit) const {
    std::vector<std::pair<float, bool>> steps;
    for (std::size_t i = 0; i < rows_.size(); ++i) steps.emplace_back(value(rows_[i], unit), known_.values[i] == 1.0f);
    // From the end at which the unit has the property.
    const bool falls = units_[unit].following.score < 0.5;
    std::ranges::sort(steps, [&](const auto& a, const auto& b) { return falls ? a < b : b < a; });
    const auto all = std::ssize(steps), present = std::ranges::count(known_.values, 1.0f);
    std::vector<std::pair<double, double>> out{{0.0, 0.0}};
    std::int64_t with = 0;
    for (std::int64_t i = 0; i < all; ++i) {
      with += steps[i].second ? 1 : 0;
      const bool tied = i + 1 < all && steps[i + 1].first == steps[i].first;
      const double without = static_cast<double>(i + 1 - with) / static_cast<double>(all - present),
                   share = static_cast<double>(with) / static_cast<double>(present);
      const bool moved = without - out.back().first > 0.01 || share - out.back().second > 0.01;
      if (i + 1 == all || (!tied && moved)) out.emplace_back(without, share);
    }
    return out;
  }

  // The beginning of the data by a unit's values, from their median on.
  ColouredText coloured(Index unit) const {
    ColouredText out;
    std::size_t row = 0;
    std::vector<float> weights;
    for (const SearchedText& text : texts_) {
      if (row >= kColoured) break;
      const std::size_t before = out.text.size(), shown = std::min(text.places.size(), kColoured - row);
      for (std::size_t step = 0; step < shown; ++step, ++row) {
        out.places.emplace_back(before + text.places[step].first, before + text.places[step].second);
        weights.push_back(value(static_cast<Index>(row), unit));
      }
      out.text += text.text.substr(0, shown == 0 ? 0 : text.places[shown - 1].second);
      if (!out.text.ends_with('\n')) out.text += '\n';
    }
    std::vector<float> sorted = weights;
    const auto middle = sorted.begin() + std::ssize(sorted) / 2;
    std::ranges::nth_element(sorted, middle);
    for (const float weight : weights)
      out.weights.push_back(static_cast<double>(weight) - static_cast<double>(*middle));
    return out;
  }

  const UnitProperty& property_;
  std::int64_t longest_;
  std::vector<FoundUnit> units_;  // as they stand in the values
  std::vector<float> values_;     // [steps, units]
  std::vector<SearchedText> texts_;
  StepProperty known_;
  std::vector<Index> rows_;  // [known steps]
};

}  // namespace

FoundUnits find_units(const TextModel& model, const Dataset& data, const UnitProperty& property,
                      const ReadingRequest& request, ThreadPool& pool) {
  if (model.config().text.reverse)
    throw UsageError("--find: properties are found in texts that are read forwards; the model has text.reverse");
  UnitSearch search(property, request.longest);
  task_of(model).for_readings(model, data, request, pool, [&](Reading&& reading) { search.add(std::move(reading)); });
  return search.search(pool);
}

}  // namespace mnemo
