// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/complete.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/text.h"

namespace kinsock {
namespace {

bool IsOption(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

// The option of `app`, or of a command above it, that `word` names.
const CLI::Option* FindOption(const CLI::App* app, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  for (; app != nullptr; app = app->get_parent()) {
    if (const CLI::Option* const option = app->get_option_no_throw(name); option != nullptr) return option;
  }
  return nullptr;
}

bool TakesValue(const CLI::Option* option) { return option != nullptr && option->get_items_expected_max() > 0; }

bool TakesNextWord(const CLI::App* app, const std::string& word) {
  return IsOption(word) && word.find('=') == std::string::npos && TakesValue(FindOption(app, word));
}

const CLI::App* FindCommand(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

// Where in the tree of commands a line has got to.
struct Place {
  const CLI::App* app = nullptr;
  size_t positionals = 0;                 // that `app` has been given
  const CLI::Option* value_of = nullptr;  // the next word is its value
  std::string network;                    // the line has --net
};

Place Follow(const CLI::App& app, const std::vector<std::string>& words) {
  Place place{&app, 0, nullptr, ValueOf(words, "--net")};
  for (const std::string& word : words) {
    if (word == "=") continue;  // bash makes "--for=X" three words
    if (place.value_of != nullptr) {
      place.value_of = nullptr;
    } else if (TakesNextWord(place.app, word)) {
      place.value_of = FindOption(place.app, word);
    } else if (!IsOption(word)) {
      const CLI::App* const command = FindCommand(*place.app, word);
      if (command != nullptr) {
        place = {command, 0, nullptr, place.network};
      } else {
        ++place.positionals;
      }
    }
  }
  return place;
}

// The positional argument number `index`; one that takes any number is also all that follow.
const CLI::Option* Positional(const CLI::App& app, size_t index) {
  const auto all = app.get_options([](const CLI::Option* option) { return option->get_positional(); });
  if (all.empty()) return nullptr;
  if (index < all.size()) return all[index];
  return all.back()->get_items_expected_max() > 1 ? all.back() : nullptr;
}

std::string PositionalName(const CLI::Option& option) { return option.get_name(true); }

class Answer {
 public:
  Answer(std::string begun, std::string network, const AskForNames& names)
      : begun_(std::move(begun)), network_(std::move(network)), names_(names) {}

  void Add(const std::string& word, const std::string& help) {
    if (absl::StartsWith(word, begun_)) candidates_.push_back({word, help.substr(0, help.find('\n'))});
  }

  void AddNames(NameKind kind, const std::string& behind = "") {
    for (const std::string& name : names_(kind, network_)) Add(name + behind, "");
  }

  void AddCommands(const CLI::App& app) {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (!command->get_group().empty()) Add(command->get_name(), command->get_description());
    }
  }

  void AddOptions(const CLI::App* app) {
    for (; app != nullptr; app = app->get_parent()) {
      for (const CLI::Option* option : app->get_options()) {
        for (const std::string& name : option->get_lnames()) Add(absl::StrCat("--", name), option->get_description());
      }
    }
  }

  // "table|wide|json" are words to choose from; "N|A-B|auto", "PATH" are not all of them.
  void AddValues(const CLI::App& app, const CLI::Option& option) {
    const std::string& text = option.get_option_text();
    if (text == "VM" || (text == "NAME" && app.get_name() != "capture" && option.check_lname("vm"))) {
      return AddNames(NameKind::kVm);
    }
    if (text == "NAME" && option.check_lname("net")) return AddNames(NameKind::kNetwork);
    for (const absl::string_view word : absl::StrSplit(text, '|')) {
      const bool literal =
          std::all_of(word.begin(), word.end(), [](unsigned char c) { return absl::ascii_islower(c) || c == '-'; });
      // "-" is standard input, which nobody needs to be told of when files are to be offered.
      if (literal && !word.empty() && word != "-") Add(std::string(word), "");
    }
  }

  void AddPositional(const CLI::App& app, const CLI::Option& option) {
    const std::string name = PositionalName(option);
    const std::string parent = app.get_parent() == nullptr ? "" : app.get_parent()->get_name();
    if (parent == "conn" && name == "NAME") return AddNames(NameKind::kConnection);
    const bool is_new = app.get_name() == "create";
    if (name == "VM" || (parent == "vm" && name == "NAME" && !is_new)) return AddNames(NameKind::kVm);
    if (parent == "net" && !is_new) return AddNames(NameKind::kNetwork);
    if (parent == "policy" || app.get_name() == "explain") return AddOfPolicy(name, is_new);
    if (parent == "forward" && name == "name" && !is_new) return AddNames(NameKind::kForward);
    if (parent == "forward" && name == "guest") return AddNames(NameKind::kVm, ":");  // the port follows
    if (parent == "cid" && app.get_name() == "release") return AddNames(NameKind::kCid);
    AddValues(app, option);
  }

  std::vector<Candidate> Take() { return std::move(candidates_); }

 private:
  void AddOfPolicy(const std::string& name, bool is_new) {
    if (name == "name" && !is_new) return AddNames(NameKind::kPolicy);
    if (name != "from" && name != "to") return;
    const std::string behind = name == "to" ? ":" : "";  // the port follows
    Add("host" + behind, "");
    AddNames(NameKind::kVm, behind);
  }

  const std::string begun_;
  const std::string network_;
  const AskForNames& names_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<Candidate> Complete(const CLI::App& app, const std::vector<std::string>& words, const AskForNames& names) {
  if (words.empty()) return {};
  std::string begun = words.back();
  if (begun == "=") begun.clear();
  const Place place = Follow(app, {words.begin(), words.end() - 1});
  Answer answer(begun, place.network, names);
  if (place.value_of != nullptr) {
    answer.AddValues(*place.app, *place.value_of);
  } else if (absl::StartsWith(begun, "-")) {
    answer.AddOptions(place.app);
  } else {
    answer.AddCommands(*place.app);
    const CLI::Option* const positional = Positional(*place.app, place.positionals);
    if (positional != nullptr) answer.AddPositional(*place.app, *positional);
  }
  return answer.Take();
}

std::string ValueOf(const std::vector<std::string>& words, const std::string& name) {
  std::string value;
  for (size_t i = 0; i < words.size(); ++i) {
    absl::string_view word = words[i];
    if (word == name) {
      if (i + 1 < words.size() && words[i + 1] == "=") ++i;
      if (i + 1 < words.size()) value = words[++i];
    } else if (absl::ConsumePrefix(&word, name) && absl::ConsumePrefix(&word, "=")) {
      value = std::string(word);
    }
  }
  return value;
}

size_t FirstPositional(const CLI::App& app, const std::vector<std::string>& words, size_t from) {
  for (size_t i = from; i < words.size(); ++i) {
    if (!IsOption(words[i])) return i;
    if (TakesNextWord(&app, words[i])) ++i;
  }
  return words.size();
}

std::string UnknownCommand(const CLI::App& app, const std::vector<std::string>& words) {
  std::string path;
  const CLI::App* place = &app;
  for (size_t i = 0; i < words.size() && place->get_require_subcommand_min() > 0; ++i) {
    const std::string& word = words[i];
    if (IsOption(word)) {
      if (FindOption(place, word) == nullptr) return "";  // the next word may be its value
      if (TakesNextWord(place, word)) ++i;
      continue;
    }
    const CLI::App* const command = FindCommand(*place, word);
    if (command == nullptr) {
      std::vector<std::string_view> known;
      for (const CLI::App* other : place->get_subcommands([](const CLI::App*) { return true; })) {
        known.push_back(other->get_name());
      }
      return absl::StrCat(Quoted(word), " is no command", path.empty() ? "" : " of", path, DidYouMean(word, known));
    }
    place = command;
    absl::StrAppend(&path, " ", word);
  }
  return "";
}

std::string CompletionScript(const std::string& shell) {
  if (shell == "bash") {
    return R"(# kinsockctl, for bash:  source <(kinsockctl completion bash)
_kinsockctl() {
  local IFS=$'\n'
  mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
}
complete -o default -F _kinsockctl kinsockctl
)";
  }
  if (shell == "zsh") {
    return R"(#compdef kinsockctl
# kinsockctl, for zsh:  source <(kinsockctl completion zsh)
_kinsockctl() {
  local -a candidates
  local line
  for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  if (( ${#candidates} )); then
    _describe -V kinsockctl candidates
  else
    _files
  fi
}
if [[ ${funcstack[1]} == _kinsockctl ]]; then
  _kinsockctl "$@"
else
  compdef _kinsockctl kinsockctl
fi
)";
  }
  return R"(# kinsockctl, for fish:  kinsockctl completion fish | source
function __kinsockctl_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c kinsockctl -f -a '(__kinsockctl_complete)'
complete -c kinsockctl -n '__fish_seen_argument -s f' -F
)";
}

}  // namespace kinsock
