// SPDX-License-Identifier: Apache-2.0
#include "cli/text/output.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>

#include "cli/text/yaml_text.h"

namespace kinsock {

std::string ToJson(const google::protobuf::Message& message, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = pretty;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "{}";
  return json;
}

std::string Render(const google::protobuf::Message& message, OutputFormat format) {
  switch (format) {
    case OutputFormat::kYaml:
      return JsonToYaml(ToJson(message, false));
    case OutputFormat::kJsonl:
      return ToJson(message, false) + "\n";
    default:
      return ToJson(message, true);  // ends with a newline by itself
  }
}

bool ShowsMessage(OutputFormat format) {
  return format == OutputFormat::kJson || format == OutputFormat::kYaml || format == OutputFormat::kJsonl;
}

void Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace kinsock
