// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_WEB_PROMTOOL_H_
#define KINSOCK_TESTS_WEB_PROMTOOL_H_

#include <cstdio>
#include <string>

namespace kinsock::testing {

// What `promtool check metrics` has against `metrics`; empty: nothing.
inline std::string CheckMetrics(const std::string& metrics, const std::string& directory) {
  const std::string said = directory + "/promtool.txt";
  FILE* promtool = popen(("promtool check metrics >" + said + " 2>&1").c_str(), "w");
  if (promtool == nullptr) return "promtool cannot be run";
  fwrite(metrics.data(), 1, metrics.size(), promtool);
  const int status = pclose(promtool);
  if (status == 0) return "";
  std::string text = "promtool ended with " + std::to_string(status) + "\n";
  FILE* file = fopen(said.c_str(), "r");
  for (int c; file != nullptr && (c = fgetc(file)) != EOF;) text += static_cast<char>(c);
  if (file != nullptr) fclose(file);
  return text;
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_WEB_PROMTOOL_H_
