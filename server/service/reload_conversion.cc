// SPDX-License-Identifier: Apache-2.0
#include "server/service/reload_conversion.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// Not in the middle of a character.
std::string Cut(std::string text) {
  if (text.size() <= kMaxReloadMessageBytes) return text;
  size_t length = kMaxReloadMessageBytes;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  text.resize(length);
  return text + "...";
}

v1::ConfigChange::Action ToProto(ConfigChange::Action action) {
  switch (action) {
    case ConfigChange::Action::kCreate:
      return v1::ConfigChange::CREATE;
    case ConfigChange::Action::kUpdate:
      return v1::ConfigChange::UPDATE;
    case ConfigChange::Action::kReplace:
      return v1::ConfigChange::REPLACE;
    case ConfigChange::Action::kDelete:
      return v1::ConfigChange::DELETE;
  }
  return v1::ConfigChange::ACTION_UNSPECIFIED;
}

void AddChanges(const ReloadReport& report, bool good, v1::ReloadResponse& out) {
  for (const ConfigChange& change : report.changes) {
    if (change.status.ok() != good) continue;
    if (static_cast<size_t>(out.changes_size()) == kMaxReloadChanges) {
      out.set_more_changes(out.more_changes() + 1);
      continue;
    }
    v1::ConfigChange& into = *out.add_changes();
    into.set_name(change.name);
    into.set_place(Cut(change.place));
    into.set_action(ToProto(change.action));
    if (good) continue;
    const std::string reason = ErrorReason(change.status);
    into.set_reason(reason.empty() ? absl::StatusCodeToString(change.status.code()) : reason);
    into.set_message(Cut(std::string(change.status.message())));
  }
}

}  // namespace

v1::ReloadResponse ToProto(const ReloadReport& report) {
  v1::ReloadResponse out;
  out.set_applied(report.applied);
  out.set_file(report.file);
  for (const ConfigProblem& problem : report.problems) {
    v1::ConfigProblem& into = *out.add_problems();
    into.set_place(Cut(problem.place));
    into.set_field(Cut(problem.field));
    into.set_message(Cut(problem.what));
  }
  AddChanges(report, false, out);
  AddChanges(report, true, out);
  out.set_unchanged(static_cast<uint32_t>(report.unchanged));
  *out.mutable_restart_required() = {report.restart_required.begin(), report.restart_required.end()};
  return out;
}

v1::Event ReloadEvent(const ReloadReport& report) {
  v1::Event event;
  event.set_type(v1::Event::LIFECYCLE);
  event.set_object("daemon");
  auto& fields = *event.mutable_fields();
  if (!report.applied) {
    event.set_severity(v1::Event::ERROR);
    event.set_reason("CONFIG_REFUSED");
    event.set_message(
        absl::StrCat(report.file, " was read again, and changes nothing: ", report.problems.size(), " faults"));
    fields["problems"] = absl::StrCat(report.problems.size());
    if (!report.problems.empty()) fields["first"] = report.problems.front().ToString();
    return event;
  }
  const size_t refused = report.refused();
  event.set_severity(refused == 0 ? v1::Event::INFO : v1::Event::WARNING);
  event.set_reason("CONFIG_RELOADED");
  event.set_message(absl::StrCat(report.file, " was read again: ", report.changes.size() - refused, " changes, ",
                                 refused, " refused"));
  fields["changed"] = absl::StrCat(report.changes.size() - refused);
  fields["refused"] = absl::StrCat(refused);
  if (!report.restart_required.empty()) fields["restart_required"] = absl::StrJoin(report.restart_required, ",");
  return event;
}

}  // namespace kinsock
