// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest/message_faults.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/text.h"
#include "cli/manifest/yaml_json.h"

namespace kinsock {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::JsonStringToMessage;

// JSON may spell a field either way.
bool IsSpelling(const FieldDescriptor& field, const std::string& key) {
  return key == field.json_name() || key == field.name();
}

const FieldDescriptor* FindField(const Descriptor& type, const std::string& key) {
  for (int i = 0; i < type.field_count(); ++i) {
    if (IsSpelling(*type.field(i), key)) return type.field(i);
  }
  return nullptr;
}

// Messages that JSON writes as one word.
bool IsWord(const FieldDescriptor& field) {
  return field.message_type() != nullptr && field.message_type()->file()->package() == "google.protobuf";
}

std::string NotOneOf(const google::protobuf::EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) names.push_back(type.value(i)->name());
  }
  return absl::StrCat("is none of ", absl::StrJoin(names, ", "));
}

// What a value of the field has to be.
std::string Demand(const FieldDescriptor& field) {
  if (field.is_map()) return "is not a map of texts, {tier: web, zone: \"1\"}";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return "is not a number from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "is not a number from 0 to 18446744073709551615";
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return "is not a number, or too large a one";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "is neither true nor false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return NotOneOf(*field.enum_type());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return field.message_type()->name() == "Duration" ? "is not a time in seconds, \"30s\""
                                                        : "is not what it has to be";
    default:
      return "is not text";
  }
}

// The same for both spellings of a field.
std::string Unspelled(absl::string_view name) { return absl::AsciiStrToLower(absl::StrReplaceAll(name, {{"_", ""}})); }

class Finder {
 public:
  explicit Finder(YamlFaults& faults) : faults_(faults) {}

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the API nests messages
  void Look(const YAML::Node& node, const std::string& path, const Message& prototype) {
    if (!node.IsMap()) return faults_.Add(node.Mark(), path, "is not a map of fields");
    const Descriptor& type = *prototype.GetDescriptor();
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const std::string name = absl::StrCat(path, path.empty() ? "" : ".", key);
      const FieldDescriptor* const field = FindField(type, key);
      if (field == nullptr) {
        faults_.Add(entry.first.Mark(), name, absl::StrCat("is not a field of ", type.name(), Suggestion(type, key)));
      } else if (!entry.second.IsNull()) {
        LookAtField(entry.second, name, *field, prototype);
      }
    }
  }

 private:
  static std::string Suggestion(const Descriptor& type, const std::string& key) {
    std::vector<std::string_view> known;
    for (int i = 0; i < type.field_count(); ++i) known.push_back(type.field(i)->json_name());
    return DidYouMean(key, known);
  }

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the API nests messages
  void LookAtField(const YAML::Node& value, const std::string& name, const FieldDescriptor& field,
                   const Message& prototype) {
    if (field.is_repeated() && !field.is_map()) {
      if (!value.IsSequence()) return faults_.Add(value.Mark(), name, "is not a list; write [...]");
      for (size_t i = 0; i < value.size(); ++i) {
        LookAtValue(value[i], absl::StrCat(name, "[", i, "]"), field, prototype);
      }
      return;
    }
    LookAtValue(value, name, field, prototype);
  }

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the API nests messages
  void LookAtValue(const YAML::Node& value, const std::string& name, const FieldDescriptor& field,
                   const Message& prototype) {
    if (field.message_type() != nullptr && !field.is_map() && !IsWord(field)) {
      const Message* const inner = prototype.GetReflection()->GetMessageFactory()->GetPrototype(field.message_type());
      return Look(value, name, *inner);
    }
    // The library knows what it takes: it is asked about this value alone.
    const bool in_list = field.is_repeated() && !field.is_map();
    if (in_list && !value.IsScalar()) return faults_.Add(value.Mark(), name, Demand(field));
    const absl::StatusOr<std::string> json = NodeToJson(value);
    const std::unique_ptr<Message> alone(prototype.New());
    const std::string text = absl::StrCat("{\"", std::string(field.json_name()), "\":", in_list ? "[" : "",
                                          json.ok() ? *json : "", in_list ? "]" : "", "}");
    if (!JsonStringToMessage(text, alone.get()).ok()) faults_.Add(value.Mark(), name, Demand(field));
  }

  YamlFaults& faults_;
};

}  // namespace

bool ReadMessage(const YAML::Node& node, const std::string& path, YamlFaults& faults, Message& message) {
  const absl::StatusOr<std::string> json = NodeToJson(node);
  if (!json.ok()) {
    faults.Add(node.Mark(), path, std::string(json.status().message()));
    return false;
  }
  // First: the library takes some things for what they are not, a text for a list of one, for example.
  const size_t before = faults.found();
  Finder(faults).Look(node, path, message);
  if (faults.found() != before) return false;
  const auto read = JsonStringToMessage(*json, &message);
  if (!read.ok()) faults.Add(node.Mark(), path, read.message().ToString());
  return read.ok();
}

YAML::Mark MarkOfField(const YAML::Node& node, const std::string& field) {
  YAML::Node at(node);
  YAML::Mark mark = node.Mark();
  for (const absl::string_view part : absl::StrSplit(field, '.')) {
    const std::string name = Unspelled(part.substr(0, part.find('[')));
    YAML::Node inner;
    bool found = false;
    for (auto entry = at.begin(); at.IsMap() && entry != at.end() && !found; ++entry) {
      found = entry->first.IsScalar() && Unspelled(entry->first.Scalar()) == name;
      if (found) inner.reset(entry->second);
    }
    if (!found) break;
    mark = inner.Mark();
    at.reset(inner);
  }
  return mark;
}

}  // namespace kinsock
