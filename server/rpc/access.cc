// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/access.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/host/log.h"
#include "server/rpc/api_limits.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

struct Rule {
  std::string_view method;
  Role need;
  size_t streams_per_caller = kMaxWatchesPerCaller;  // of those whose answer does not end
};

// Seeing is the viewer's. What touches single VMs and connections is the operator's, and so is to see who did that, and
// to see single packets, which costs those who move them; what concerns the daemon as a whole, or everybody's rights,
// is the admin's, and so is what others say to each other.
constexpr Rule kRules[] = {
    {"AdminService.Drain", Role::kAdmin},
    {"AdminService.DumpConfig", Role::kOperator, kMaxDumpsPerCaller},
    {"AdminService.GetInfo", Role::kViewer},
    {"AdminService.Reload", Role::kAdmin},
    {"AdminService.SetLogLevel", Role::kAdmin},
    {"AdminService.WatchEvents", Role::kOperator, kMaxRareStreamsPerCaller},
    {"ConnectionService.Capture", Role::kOperator, kMaxCapturesPerCaller},
    {"ConnectionService.Capture.payload", Role::kAdmin},  // what the same call asks for besides
    {"ConnectionService.GetStats", Role::kViewer},
    {"ConnectionService.ListConnections", Role::kViewer},
    {"ConnectionService.ResetConnection", Role::kOperator},
    {"ConnectionService.StreamStats", Role::kViewer, kMaxRareStreamsPerCaller},
    {"ConnectionService.Tunnel", Role::kOperator, kMaxTunnelsPerCaller},
    {"ConnectionService.WatchConnections", Role::kViewer, kMaxRareStreamsPerCaller},
    {"ForwardService.CreateForward", Role::kOperator},
    {"ForwardService.DeleteForward", Role::kOperator},
    {"ForwardService.GetForward", Role::kViewer},
    {"ForwardService.ListForwards", Role::kViewer},
    {"ForwardService.UpdateForward", Role::kOperator},
    {"NetworkService.CreateNetwork", Role::kAdmin},
    {"NetworkService.CreatePolicy", Role::kAdmin},
    {"NetworkService.DeleteNetwork", Role::kAdmin},
    {"NetworkService.DeletePolicy", Role::kAdmin},
    {"NetworkService.GetNetwork", Role::kViewer},
    {"NetworkService.GetPolicy", Role::kViewer},
    {"NetworkService.ListCids", Role::kViewer},
    {"NetworkService.ListNetworks", Role::kViewer},
    {"NetworkService.ListPolicies", Role::kViewer},
    {"NetworkService.ReleaseCid", Role::kOperator},
    {"NetworkService.ReserveCid", Role::kOperator},
    {"NetworkService.TestPolicy", Role::kViewer},
    {"NetworkService.UpdateNetwork", Role::kAdmin},
    {"NetworkService.UpdatePolicy", Role::kAdmin},
    {"VmService.ApplyVm", Role::kOperator},
    {"VmService.CreateVm", Role::kOperator},
    {"VmService.DeleteVm", Role::kOperator},
    {"VmService.DrainVm", Role::kOperator},
    {"VmService.GetVm", Role::kViewer},
    {"VmService.ListVms", Role::kViewer},
    {"VmService.ResetVm", Role::kOperator},
    {"VmService.ResumeVm", Role::kOperator},
    {"VmService.UpdateVm", Role::kOperator},
    {"VmService.WaitVm", Role::kViewer},
    {"VmService.WatchVms", Role::kViewer},
};

// Null: there is no such method.
const Rule* RuleOf(std::string_view method) {
  for (const Rule& rule : kRules) {
    if (rule.method == method) return &rule;
  }
  return nullptr;
}

// What the caller, or an administrator, would have to do.
std::string HowToAllow(const Caller& caller, Role need) {
  if (caller.view_only) return "this socket is for looking only; use that of --api";
  return absl::StrCat("kinsockd --api-role ", RoleName(need), "=",
                      caller.transport == Caller::Transport::kUnix ? absl::StrCat("user:", caller.uid)
                      : caller.san.empty()                         ? "san:NAME"
                                                                   : absl::StrCat("san:", caller.san),
                      " would let this caller in");
}

}  // namespace

std::optional<Role> RoleNeeded(std::string_view method) {
  const Rule* const rule = RuleOf(method);
  return rule != nullptr ? std::make_optional(rule->need) : std::nullopt;
}

void Access::SetRules(const RoleRules& rules) {
  auto next = std::make_shared<const RoleRules>(rules);
  MutexLock lock(mutex_);
  rules_ = std::move(next);
}

std::shared_ptr<const RoleRules> Access::rules() const {
  MutexLock lock(mutex_);
  return rules_;
}

void Access::Close(const absl::Status& reason) {
  MutexLock lock(mutex_);
  closed_ = reason;
}

absl::StatusOr<Caller> Access::CallerOf(const grpc::CallbackServerContext& context) const {
  std::optional<Caller> caller = connections_.Find(context.peer());
  const std::shared_ptr<const RoleRules> rules = this->rules();
  if (caller.has_value()) {
    // What it was when he connected may have been changed since then.
    const Peer peer{caller->uid, caller->gid, caller->pid, caller->groups};
    caller->role = caller->view_only ? rules->RoleOnViewSocket(peer) : rules->RoleOf(peer);
    return *std::move(caller);
  }
  if (const auto tls = context.auth_context(); tls != nullptr && tls->IsPeerAuthenticated()) {
    std::vector<std::string> names;
    for (const grpc::string_ref& name : tls->FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME)) {
      names.emplace_back(name.data(), name.size());
    }
    auto [role, san] = rules->RoleOf(names);
    return Caller{.transport = Caller::Transport::kTls, .role = role, .san = std::move(san)};
  }
  return Error(absl::StatusCode::kUnauthenticated, "ROLE_REQUIRED",
               "who calls cannot be told; connect anew to the daemon's socket");
}

absl::Status Access::Check(const grpc::CallbackServerContext& context, std::string_view method) const {
  return Admit(context, method).status();
}

absl::StatusOr<Caller> Access::Admit(const grpc::CallbackServerContext& context, std::string_view method) const {
  {
    MutexLock lock(mutex_);
    KINSOCK_RETURN_IF_ERROR(closed_);
  }
  const Role need = RoleNeeded(method).value_or(Role::kAdmin);
  absl::StatusOr<Caller> caller = CallerOf(context);
  if (caller.ok() && caller->role >= need) return caller;
  if (const uint64_t times = ++refused_; std::has_single_bit(times)) {
    Log(LogLevel::kWarning, "api.denied")
        .With("caller", caller.ok() ? caller->ToString() : std::string("unknown"))
        .With("method", method)
        .With("need", RoleName(need))
        .With("times", static_cast<int64_t>(times));
  }
  if (on_denied_ != nullptr) on_denied_(caller, method, need);
  if (!caller.ok()) return caller.status();
  return Error(absl::StatusCode::kPermissionDenied, "ROLE_REQUIRED",
               absl::StrCat(AbslView(method), " needs the role ", RoleName(need), ", and ", caller->ToString(),
                            caller->role == Role::kNone ? " has none" : absl::StrCat(" is ", RoleName(caller->role)),
                            " here; ", HowToAllow(*caller, need)))
      .With("need", RoleName(need))
      .With("have", RoleName(caller->role))
      .With("method", method)
      .With("socket", caller->view_only ? "view" : "api");
}

absl::StatusOr<WatchQuota::Ticket> Access::AdmitWatch(const grpc::CallbackServerContext& context,
                                                      std::string_view method) const {
  KINSOCK_ASSIGN_OR_RETURN(const Caller caller, Admit(context, method));
  const Rule* const rule = RuleOf(method);
  return watches_.Enter(caller, method, rule != nullptr ? rule->streams_per_caller : kMaxWatchesPerCaller);
}

absl::StatusOr<WatchQuota::Ticket> Access::AdmitSchema(const grpc::CallbackServerContext& context) const {
  KINSOCK_ASSIGN_OR_RETURN(const Caller caller, CallerOf(context));
  return schema_.Enter(caller.role == Role::kNone ? Caller() : caller, "reflection", kMaxSchemaStreamsPerCaller);
}

absl::StatusOr<WatchQuota::Ticket> Access::AdmitHealth(const grpc::CallbackServerContext& context,
                                                       std::string_view method) const {
  const absl::StatusOr<Caller> caller = CallerOf(context);
  const size_t share = method == "Health.Watch" ? kMaxHealthWatchesPerCaller : kMaxHealthChecksPerCaller;
  return health_.Enter(caller.ok() ? *caller : Caller(), method, share);
}

}  // namespace kinsock
