// The search for units of a model that follow a property of its data.
#pragma once

#include "report/found_units.h"
#include "tasks/task.h"
#include "tasks/unit_property.h"

namespace mnemo {

/// Looks at the states h and c of all layers that read the text. Of each text the first `longest` units are used.
/// Throws Error if no unit has the property, or all have it; UsageError for a label where the data have none.
FoundUnits find_units(const TextModel& model, const Dataset& data, const UnitProperty& property,
                      const ReadingRequest& request, ThreadPool& pool);

}  // namespace mnemo
