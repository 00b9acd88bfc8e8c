// SPDX-License-Identifier: Apache-2.0
#include "tests/capture/tshark.h"

#include <cstdio>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kinsock::testing {
namespace {

// What `command` prints, and its complaints if it has failed.
std::string Run(const std::string& command, const std::string& directory) {
  const std::string complaints = directory + "/complaints";
  std::string printed;
  // A home of its own: it writes there, and tests have none.
  FILE* const program = popen(absl::StrCat("HOME=", directory, " LC_ALL=C ", command, " 2>", complaints).c_str(), "r");
  if (program == nullptr) return "tshark: cannot be run";
  for (int c; (c = fgetc(program)) != EOF;) printed += static_cast<char>(c);
  const int status = pclose(program);
  if (status == 0) return printed;
  std::ifstream file(complaints);
  return absl::StrCat(printed, "\ntshark: ended with ", status, ": ",
                      std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
}

std::string Keep(std::string_view file, const std::string& directory) {
  const std::string path = directory + "/capture";
  std::ofstream(path, std::ios::binary).write(file.data(), static_cast<std::streamsize>(file.size()));
  return path;
}

}  // namespace

std::vector<std::string> Tshark(std::string_view file, const std::vector<std::string>& fields,
                                const std::string& directory) {
  std::string command = absl::StrCat("tshark -r ", Keep(file, directory), " -T fields -E separator='|'");
  for (const std::string& field : fields) absl::StrAppend(&command, " -e ", field);
  std::vector<std::string> lines = absl::StrSplit(Run(command, directory), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

std::string Capinfos(std::string_view file, const std::string& directory) {
  return Run("capinfos " + Keep(file, directory), directory);
}

}  // namespace kinsock::testing
