// SPDX-License-Identifier: Apache-2.0
#include "base/man_page.h"

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace kinsock {
namespace {

// Text as it is: man(7) gives a meaning to backslashes, and to dots and quotes at the beginning of a line; hyphens,
// quotes and tildes it would turn into signs that nobody can copy.
std::string Escaped(std::string_view text) {
  std::string safe = absl::StrReplaceAll(
      absl::string_view(text.data(), text.size()),
      {{"\\", "\\e"}, {"-", "\\-"}, {"'", "\\(aq"}, {"`", "\\(ga"}, {"~", "\\(ti"}, {"\n.", "\n\\&."}});
  return !safe.empty() && safe.front() == '.' ? "\\&" + safe : safe;
}

std::string Bold(std::string_view text) { return absl::StrCat("\\fB", Escaped(text), "\\fR"); }
std::string Italic(std::string_view text) { return absl::StrCat("\\fI", Escaped(text), "\\fR"); }

// What stands behind an option; empty: it is a flag.
std::string ValueOf(const CLI::Option& option) {
  if (!option.get_option_text().empty()) return option.get_option_text();
  return option.get_items_expected_max() == 0 ? "" : "VALUE";
}

bool IsMany(const CLI::Option& option) { return option.get_expected_max() == CLI::detail::expected_max_vector_size; }

// In the order of --help, without what that hides.
std::vector<const CLI::Option*> OptionsOf(const CLI::App& app, bool positional) {
  return app.get_options([positional](const CLI::Option* option) {
    return !option->get_group().empty() && option->get_positional() == positional;
  });
}

std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

void AppendOption(const CLI::Option& option, std::string& page) {
  const std::string value = ValueOf(option);
  std::vector<std::string> names;
  for (const absl::string_view name : absl::StrSplit(option.get_name(false, true), ',')) {
    names.push_back(Bold(std::string_view(name.data(), name.size())));
  }
  absl::StrAppend(&page, ".TP\n", absl::StrJoin(names, ", "), value.empty() ? "" : " " + Italic(value), "\n",
                  Escaped(option.get_description()), "\n");
  if (!option.get_envname().empty()) absl::StrAppend(&page, "(", Bold("$" + option.get_envname()), ")\n");
}

void AppendOptions(const CLI::App& app, std::string& page) {
  for (const CLI::Option* option : OptionsOf(app, true)) {
    absl::StrAppend(&page, ".TP\n", Italic(option->get_name(true)), "\n", Escaped(option->get_description()), "\n");
  }
  for (const CLI::Option* option : OptionsOf(app, false)) {
    if (option != app.get_help_ptr()) AppendOption(*option, page);
  }
}

std::string Usage(const CLI::App& app, const std::string& name) {
  std::string usage = Bold(name);
  if (OptionsOf(app, false).size() > 1) absl::StrAppend(&usage, " [", Italic("OPTION"), "...]");
  for (const CLI::Option* option : OptionsOf(app, true)) {
    const std::string word = absl::StrCat(Italic(option->get_name(true)), IsMany(*option) ? "..." : "");
    absl::StrAppend(&usage, " ", option->get_required() ? word : absl::StrCat("[", word, "]"));
  }
  return usage;
}

void AppendCommands(const CLI::App& app, const std::string& name, std::string& page) {
  for (const CLI::App* command : CommandsOf(app)) {
    const std::string full = absl::StrCat(name, " ", command->get_name());
    if (!CommandsOf(*command).empty()) {
      AppendCommands(*command, full, page);
      continue;
    }
    absl::StrAppend(&page, ".SS ", Escaped(full), "\n", Usage(*command, full), "\n.PP\n",
                    Escaped(command->get_description()), "\n");
    AppendOptions(*command, page);
  }
}

}  // namespace

std::string ManPage(const CLI::App& app) {
  std::string page = ".SH OPTIONS\n";
  AppendOptions(app, page);
  if (!CommandsOf(app).empty()) {
    page += ".SH COMMANDS\n";
    AppendCommands(app, app.get_name(), page);
  }
  return page;
}

}  // namespace kinsock
