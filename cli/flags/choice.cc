// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/choice.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace kinsock {

std::string ChoiceFault(const std::string& word, const std::vector<std::string>& words) {
  if (std::find(words.begin(), words.end(), word) != words.end()) return "";
  return absl::StrCat(Quoted(word), " is none of ", absl::StrJoin(words, ", "),
                      DidYouMean(word, {words.begin(), words.end()}));
}

}  // namespace kinsock
