// SPDX-License-Identifier: Apache-2.0
#include "cli/view/event_view.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cli/text/output.h"

namespace kinsock {
namespace {

// What others say in it cannot make another line, or move the cursor.
std::string Line(const v1::Event& event) {
  const std::string type = absl::AsciiStrToLower(v1::Event::Type_Name(event.type()));
  return absl::StrCat(google::protobuf::util::TimeUtil::ToString(event.time()), "  ", type, "  ", event.reason(), "  ",
                      absl::Utf8SafeCEscape(event.object()), "  ", absl::Utf8SafeCEscape(event.message()), "\n");
}

}  // namespace

std::string RenderEvent(const v1::Event& event, const Options& options) {
  if (options.format == OutputFormat::kJson || options.format == OutputFormat::kJsonl) {
    return Render(event, OutputFormat::kJsonl);
  }
  const bool is_mark = event.type() == v1::Event::SYNCED || event.type() == v1::Event::BOOKMARK;
  if (is_mark) return "";
  if (options.format == OutputFormat::kYaml) return "---\n" + Render(event, options.format);
  return options.format == OutputFormat::kName ? event.id() + "\n" : Line(event);
}

bool IsAbout(const v1::Event& event, const std::string& name) {
  return event.object() == name || std::any_of(event.fields().begin(), event.fields().end(),
                                               [&name](const auto& field) { return field.second == name; });
}

}  // namespace kinsock
