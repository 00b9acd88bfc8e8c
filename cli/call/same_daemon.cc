// SPDX-License-Identifier: Apache-2.0
#include "cli/call/same_daemon.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/text/shell_word.h"

namespace kinsock {
namespace {

constexpr char kProgram[] = "kinsockctl";
constexpr char kAsRoot[] = "sudo kinsockctl";

std::string& Flags() {
  static auto& flags = *new std::string;
  return flags;
}

}  // namespace

void NameDaemon(std::string flags) { Flags() = std::move(flags); }

std::string SameDaemon(const std::string& line) {
  if (absl::EndsWith(line, " --help")) return line;
  if (absl::StartsWith(line, kProgram)) return absl::StrCat(kProgram, Flags(), line.substr(strlen(kProgram)));
  if (!absl::StartsWith(line, kAsRoot)) return line;
  // sudo takes the environment away.
  const char* const variable = std::getenv("KINSOCK_ENDPOINT");
  const bool lost = variable != nullptr && !absl::StrContains(Flags(), " --endpoint ");
  return absl::StrCat(kAsRoot, lost ? absl::StrCat(" --endpoint ", ShellWord(variable)) : "", Flags(),
                      line.substr(strlen(kAsRoot)));
}

}  // namespace kinsock
