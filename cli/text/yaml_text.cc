// SPDX-License-Identifier: Apache-2.0
#include "cli/text/yaml_text.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "absl/strings/ascii.h"

namespace kinsock {
namespace {

// Whether YAML 1.1 or 1.2 reads the bare word as nothing but this text: it begins with a letter or "/", has no sign of
// the language in it, and is no word for true, false or null in any spelling.
bool IsPlain(const std::string& text) {
  if (text.empty() || !(absl::ascii_isalpha(static_cast<unsigned char>(text[0])) || text[0] == '/')) return false;
  const bool harmless = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '/' || c == '-' || c == '_' || c == '.';
  });
  if (!harmless) return false;
  const std::string lower = absl::AsciiStrToLower(text);
  const char* const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  return std::find(std::begin(words), std::end(words), lower) == std::end(words);
}

void Emit(const YAML::Node& node, YAML::Emitter& out) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      out << YAML::BeginMap;
      for (const auto& entry : node) {
        out << YAML::Key;
        Emit(entry.first, out);
        out << YAML::Value;
        Emit(entry.second, out);
      }
      out << YAML::EndMap;
      break;
    case YAML::NodeType::Sequence:
      out << YAML::BeginSeq;
      for (const YAML::Node& item : node) Emit(item, out);
      out << YAML::EndSeq;
      break;
    case YAML::NodeType::Scalar:
      // yaml-cpp tags what stood in quotes with "!".
      if (node.Tag() == "!" && !IsPlain(node.Scalar())) out << YAML::DoubleQuoted;
      out << node.Scalar();
      break;
    default:
      out << YAML::Null;
  }
}

}  // namespace

std::string JsonToYaml(const std::string& json) {
  // JSON is YAML. The library reports by exceptions.
  try {
    YAML::Emitter out;
    Emit(YAML::Load(json), out);
    return std::string(out.c_str()) + "\n";
  } catch (const YAML::Exception&) {
    return json;
  }
}

}  // namespace kinsock
