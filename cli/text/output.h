// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_OUTPUT_H_
#define KINSOCK_CLI_TEXT_OUTPUT_H_

#include <google/protobuf/message.h>

#include <string>

#include "cli/text/options.h"

namespace kinsock {

// `message` as protobuf JSON: the field names of the API in lowerCamelCase, 64-bit numbers as strings.
std::string ToJson(const google::protobuf::Message& message, bool pretty);

// `message` in one of the formats that show the API's message as it is: kJson, kYaml, kJsonl. It ends with a newline.
std::string Render(const google::protobuf::Message& message, OutputFormat format);

// Whether `format` is one of those.
bool ShowsMessage(OutputFormat format);

// A listing, whose messages are `items` and which is `whole` with all that the API says of it: as messages, by their
// names, or as what `table` returns.
template <typename Items, typename RenderTable>
std::string RenderList(const Items& items, const google::protobuf::Message& whole, OutputFormat format,
                       RenderTable table) {
  std::string text;
  switch (format) {
    case OutputFormat::kJson:
    case OutputFormat::kYaml:
      return Render(whole, format);
    case OutputFormat::kJsonl:
      for (const auto& item : items) text += Render(item, format);
      return text;
    case OutputFormat::kName:
      for (const auto& item : items) text += item.name() + "\n";
      return text;
    default:
      return table();
  }
}

// Writes to standard output at once.
void Print(const std::string& text);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_OUTPUT_H_
