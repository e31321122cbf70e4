// The options that name a poem's form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "apps/mnemo/command_line.h"
#include "decode/poem_form.h"

namespace mnemo {

struct PoemFormOptions {
  std::string form, rhyme, tones;
};

/// `tones`: the default rule. Returns --form.
CommandOption& add_poem_form(Command& command, PoemFormOptions& options, const std::string& help,
                             const std::string& tones = "strict");

/// The form of this name, or read from the file of this name; none if --form is not given. Throws UsageError for a name
/// that is neither.
std::optional<PoemForm> read_form(const PoemFormOptions& options);

/// The named rhyme book, or the customary one: cilin for tunes, else pingshui.
RhymeBook rhyme_book(const PoemFormOptions& options, const PoemForm& form);

}  // namespace mnemo
