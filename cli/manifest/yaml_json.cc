// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest/yaml_json.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kinsock {
namespace {

constexpr int kMaxDepth = 64;  // messages of the API are five deep; yaml-cpp's own recursion ends before

class Writer {
 public:
  bool Write(const YAML::Node& node, int depth);
  const std::string& fault() const { return fault_; }

  std::string json;

 private:
  bool Fail(const YAML::Node& node, const char* what) {
    fault_ = absl::StrCat(node.Mark().line + 1, ":", node.Mark().column + 1, ": ", what);
    return false;
  }
  void Text(const std::string& text);
  void Scalar(const YAML::Node& node);

  std::string fault_;
};

// A number as JSON spells it: what begins with a zero or a plus sign is text.
bool IsNumber(const std::string& word) {
  size_t at = word[0] == '-' ? 1 : 0;
  const auto digits = [&] {
    const size_t begin = at;
    while (at < word.size() && absl::ascii_isdigit(static_cast<unsigned char>(word[at]))) ++at;
    return at - begin;
  };
  const size_t begin = at;
  const size_t whole = digits();
  if (whole == 0 || (whole > 1 && word[begin] == '0')) return false;
  if (at < word.size() && word[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  return at == word.size();
}

void Writer::Text(const std::string& text) {
  json += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", c);
    } else {
      json += c;
    }
  }
  json += '"';
}

void Writer::Scalar(const YAML::Node& node) {
  const std::string& word = node.Scalar();
  const bool quoted = node.Tag() == "!";  // yaml-cpp tags so what stood in quotes
  if (!quoted && (word == "true" || word == "false" || (!word.empty() && IsNumber(word)))) {
    json += word;
  } else {
    Text(word);
  }
}

bool Writer::Write(const YAML::Node& node, int depth) {
  if (depth > kMaxDepth) return Fail(node, "is too deep");
  if (json.size() > kMaxYamlJsonBytes) return Fail(node, "is more than a request may hold");
  bool first = true;
  switch (node.Type()) {
    case YAML::NodeType::Map:
      json += '{';
      for (const auto& entry : node) {
        if (!entry.first.IsScalar()) return Fail(entry.first, "a key is not a word");
        if (!first) json += ',';
        first = false;
        Text(entry.first.Scalar());
        json += ':';
        if (!Write(entry.second, depth + 1)) return false;
      }
      json += '}';
      return true;
    case YAML::NodeType::Sequence:
      json += '[';
      for (const YAML::Node& item : node) {
        if (!first) json += ',';
        first = false;
        if (!Write(item, depth + 1)) return false;
      }
      json += ']';
      return true;
    case YAML::NodeType::Scalar:
      Scalar(node);
      return true;
    default:
      json += "null";
      return true;
  }
}

}  // namespace

absl::StatusOr<std::string> NodeToJson(const YAML::Node& node) {
  Writer writer;
  if (!writer.Write(node, 0)) return absl::InvalidArgumentError(writer.fault());
  return std::move(writer.json);
}

absl::StatusOr<std::vector<std::string>> YamlToJson(const std::string& yaml) {
  std::vector<std::string> documents;
  // The library reports by exceptions.
  try {
    for (const YAML::Node& document : YAML::LoadAll(yaml)) {
      if (!document.IsDefined() || document.IsNull()) continue;
      absl::StatusOr<std::string> json = NodeToJson(document);
      if (!json.ok()) return json.status();
      documents.push_back(*std::move(json));
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.mark.line + 1, ":", error.mark.column + 1, ": ", error.msg));
  }
  return documents;
}

}  // namespace kinsock
