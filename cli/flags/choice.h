// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_CHOICE_H_
#define KINSOCK_CLI_FLAGS_CHOICE_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"

namespace kinsock {

// Options that take one of a few words. Those of the library say of a wrong one what it is to the program: "json->2".

// What is wrong with `word`: `"jsom" is none of table, json (did you mean "json"?)`. Empty: it is one of `words`.
std::string ChoiceFault(const std::string& word, const std::vector<std::string>& words);

// The same, to be given to CLI::Option::check().
inline std::function<std::string(const std::string&)> OneOf(std::vector<std::string> words) {
  return [words = std::move(words)](const std::string& word) { return ChoiceFault(word, words); };
}

// Declares an option whose words stand for something. `value` outlives the parsing.
template <typename T>
CLI::Option* AddChoice(CLI::App& app, const std::string& name, T& value,
                       const std::vector<std::pair<std::string, T>>& choices, const std::string& help) {
  std::vector<std::string> words;
  for (const auto& [word, meant] : choices) words.push_back(word);
  const std::function<void(const std::string&)> take = [&value, choices](const std::string& said) {
    for (const auto& [word, meant] : choices) {
      if (word == said) value = meant;
    }
  };
  return app.add_option_function(name, take, help)->option_text(absl::StrJoin(words, "|"))->check(OneOf(words));
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_CHOICE_H_
