// Files that vanish with the process that made them, however it ends.
#pragma once

#include <string>

namespace mnemo {

/// Opens a new file of a folder that has no name, for reading and writing. Where the file system has no such files, it
/// has one for a moment: `prefix` and six random characters. Returns the descriptor, or -1 with errno set.
int open_unnamed_file(const std::string& folder, const char* prefix);

}  // namespace mnemo
