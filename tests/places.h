// Where the tests find what they read and run. Defined in main.cc alone, so that the other objects do not depend on the
// checkout's folder and a compiler cache serves every checkout.
#pragma once

#include <string>

const std::string& source_folder();  ///< of the checkout
const std::string& program_path();   ///< of the program mnemo that was built
