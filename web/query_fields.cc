// SPDX-License-Identifier: Apache-2.0
#include "web/query_fields.h"

#include <google/protobuf/descriptor.h>

#include <set>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The fields that can be given so.
bool IsPlain(const FieldDescriptor& field) { return field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE; }

std::string NamesOf(const Message& request) {
  std::vector<std::string> names;
  for (int i = 0; i < request.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *request.GetDescriptor()->field(i);
    if (IsPlain(field)) names.push_back(field.name());
  }
  return names.empty() ? "there are none" : absl::StrCat("there are ", absl::StrJoin(names, ", "));
}

std::string ValuesOf(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 1; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return absl::StrJoin(names, ", ");
}

// What is wrong with `text`; empty: nothing, and `field` has it.
std::string SetField(const FieldDescriptor& field, const std::string& text, Message& request) {
  const google::protobuf::Reflection& reflection = *request.GetReflection();
  const bool add = field.is_repeated();
  if (!IsUtf8(text)) return "is not UTF-8";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      add ? reflection.AddString(&request, &field, text) : reflection.SetString(&request, &field, text);
      return "";
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumValueDescriptor* value = field.enum_type()->FindValueByName(text);
      if (value == nullptr) return absl::StrCat(Quoted(text), " is none of ", ValuesOf(*field.enum_type()));
      add ? reflection.AddEnum(&request, &field, value) : reflection.SetEnum(&request, &field, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      if (text != "true" && text != "false") return absl::StrCat(Quoted(text), " is neither true nor false");
      const bool value = text == "true";
      add ? reflection.AddBool(&request, &field, value) : reflection.SetBool(&request, &field, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return absl::StrCat(Quoted(text), " is not a number");
      add ? reflection.AddInt32(&request, &field, value) : reflection.SetInt32(&request, &field, value);
      return "";
    }
    default:
      return "cannot be given here";
  }
}

}  // namespace

absl::Status SetFields(const std::multimap<std::string, std::string>& parameters, Message& request) {
  std::vector<FieldViolation> violations;
  std::set<std::string> seen;
  for (const auto& [name, value] : parameters) {
    const FieldDescriptor* field = request.GetDescriptor()->FindFieldByName(name);
    std::string fault;
    if (field == nullptr || !IsPlain(*field)) {
      fault = absl::StrCat("is no parameter of this; ", NamesOf(request));
    } else if (!seen.insert(name).second && !field->is_repeated()) {
      fault = "is given twice";
    } else {
      fault = SetField(*field, value, request);
    }
    if (!fault.empty()) violations.push_back({IsUtf8(name) ? Quoted(name) : "?", std::move(fault)});
  }
  return violations.empty() ? absl::OkStatus() : FieldsInvalid("", violations);
}

}  // namespace kinsock
