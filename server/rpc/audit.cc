// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/audit.h"

#include <grpcpp/server_context.h>
#include <limits.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "base/trace_id.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// The program of a process, as far as the daemon may look: it may have other rights, and the process may be gone.
std::string ProgramOf(pid_t pid) {
  char path[PATH_MAX];
  const ssize_t length = readlink(absl::StrCat("/proc/", pid, "/exe").c_str(), path, sizeof(path));
  if (length <= 0) return "";
  const std::string_view text(path, static_cast<size_t>(length));
  return IsUtf8(text) ? std::string(text) : absl::CEscape(AbslView(text));
}

std::string Name(const absl::StatusOr<Caller>& caller) { return caller.ok() ? caller->ToString() : "somebody"; }

// Of the call's metadata. What is said more than once says nothing.
std::string TraceIdOf(const grpc::CallbackServerContext& context) {
  const auto [first, last] = context.client_metadata().equal_range("traceparent");
  if (first == last || std::next(first) != last) return "";
  return TraceId(std::string_view(first->second.data(), first->second.size()));
}

void SetActor(const absl::StatusOr<Caller>& caller, v1::Actor& actor) {
  if (!caller.ok()) return;
  actor.set_role(RoleName(caller->role));
  if (caller->transport == Caller::Transport::kTls) return actor.set_san(caller->san);
  actor.set_uid(caller->uid);
  actor.set_gid(caller->gid);
  actor.set_pid(caller->pid);
  actor.set_exe(ProgramOf(caller->pid));
}

}  // namespace

Audit::Audit(EventLoop& main, EventLog& log, const Access& access)
    : main_(main), log_(log), access_(access), denials_(main, log, EventLimiter::OfDenials("api")) {}

void Audit::Mutation(const grpc::CallbackServerContext& context, std::string_view method, std::string_view object,
                     const absl::Status& status, const std::map<std::string, std::string>& fields) {
  Mutation(WhoCalls(context), method, object, status, fields);
}

Audit::Who Audit::WhoCalls(const grpc::CallbackServerContext& context) const {
  Who who{.caller = access_.CallerOf(context), .actor = {}};
  SetActor(who.caller, who.actor);
  if (std::string trace = TraceIdOf(context); !trace.empty()) who.actor.set_trace_id(std::move(trace));
  return who;
}

void Audit::Mutation(const Who& who, std::string_view method, std::string_view object, const absl::Status& status,
                     const std::map<std::string, std::string>& fields) {
  v1::Event event;
  event.set_type(v1::Event::AUDIT);
  event.set_severity(status.ok() ? v1::Event::INFO : v1::Event::WARNING);
  event.set_object(std::string(object));
  event.set_reason(status.ok() ? "CHANGED" : "REFUSED");
  if (who.actor.ByteSizeLong() > 0) *event.mutable_actor() = who.actor;
  event.set_message(absl::StrCat(Name(who.caller), " called ", AbslView(method), ": ",
                                 status.ok() ? absl::string_view("OK") : status.message()));
  for (const auto& [key, value] : fields) {
    if (!value.empty()) (*event.mutable_fields())[key] = value;
  }
  (*event.mutable_fields())["method"] = std::string(method);
  (*event.mutable_fields())["code"] = absl::StatusCodeToString(status.code());
  if (const std::string reason = ErrorReason(status); !reason.empty()) (*event.mutable_fields())["error"] = reason;
  log_.Post(std::move(event));
}

void Audit::Denied(const absl::StatusOr<Caller>& caller, std::string_view method, Role need) {
  v1::Event event;
  event.set_type(v1::Event::DENIAL);
  event.set_severity(v1::Event::WARNING);
  event.set_object("api");
  event.set_reason("ROLE_REQUIRED");
  if (caller.ok()) SetActor(caller, *event.mutable_actor());
  event.set_message(absl::StrCat(Name(caller), " may not call ", AbslView(method)));
  (*event.mutable_fields())["method"] = std::string(method);
  (*event.mutable_fields())["need"] = RoleName(need);
  main_.Post([this, event = std::move(event)]() mutable { denials_.Add(std::move(event)); });
}

}  // namespace kinsock
