// SPDX-License-Identifier: Apache-2.0
#include "cli/view/stats_view.h"

#include <google/protobuf/util/time_util.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::TimeUtil;

// The rows of a message of counters. The only lists in it are maps from a reason to a number.
class Rows {
 public:
  Rows(Table& table, bool zeros) : table_(table), zeros_(zeros) {}

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the API nests messages
  void AddAll(const Message& message, const std::string& prefix) {
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i)
      Add(message, *message.GetDescriptor()->field(i), prefix);
  }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): as deep as the API nests messages
  void Add(const Message& message, const FieldDescriptor& field, const std::string& prefix) {
    const Reflection& reflection = *message.GetReflection();
    const std::string name = prefix + field.name();
    if (field.is_map()) return AddReasons(message, field, name);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64)
      return AddNumber(name, reflection.GetUInt64(message, &field));
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return;
    const Message& inner = reflection.GetMessage(message, &field);
    if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&inner)) {
      return table_.Add({name, TimeUtil::ToString(*time)});
    }
    if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&inner)) {
      if (zeros_ || TimeUtil::DurationToNanoseconds(*duration) != 0) table_.Add({name, TimeUtil::ToString(*duration)});
      return;
    }
    AddAll(inner, name + ".");
  }

  void AddReasons(const Message& message, const FieldDescriptor& field, const std::string& name) {
    const Reflection& reflection = *message.GetReflection();
    std::map<std::string, uint64_t> reasons;  // in the order of their names
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      const auto* descriptor = entry.GetDescriptor();
      reasons[entry.GetReflection()->GetString(entry, descriptor->map_key())] =
          entry.GetReflection()->GetUInt64(entry, descriptor->map_value());
    }
    for (const auto& [reason, count] : reasons) AddNumber(absl::StrCat(name, ".", reason), count);
  }

  void AddNumber(const std::string& name, uint64_t value) {
    if (zeros_ || value != 0) table_.Add({name, absl::StrCat(value)});
  }

  Table& table_;
  const bool zeros_;
};

}  // namespace

Table MakeStatsTable(const v1::Stats& stats, bool zeros) {
  Table table({"WHAT", "VALUE"});
  Rows(table, zeros).AddAll(stats, "");
  return table;
}

}  // namespace kinsock
