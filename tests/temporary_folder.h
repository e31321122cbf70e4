// Folders that are removed when a test ends.
#pragma once

#include "base/temporary_folder.h"

using mnemo::TemporaryFolder;
