// Messages for the user. Libraries do not print: they report through a Log.
#pragma once

#include <functional>
#include <string>

namespace mnemo {

/// Takes one line, without its end.
using Log = std::function<void(const std::string& line)>;

}  // namespace mnemo
