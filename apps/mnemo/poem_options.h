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

/// `tones`: the rule that holds by default. Returns --form.
CommandOption& add_poem_form(Command& command, PoemFormOptions& options, const std::string& help,
                             const std::string& tones = "strict");

/// The form that is named, or read from the file of that name; none if no form is. Throws UsageError for what is
/// neither.
std::optional<PoemForm> read_form(const PoemFormOptions& options);

/// The book that is named, or the customary one: of tunes cilin, else pingshui.
RhymeBook rhyme_book(const PoemFormOptions& options, const PoemForm& form);

}  // namespace mnemo
