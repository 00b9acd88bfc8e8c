// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest/apply.h"

#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>

#include <cstdio>
#include <deque>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "cli/call/error_report.h"
#include "cli/manifest/apply_calls.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// Nobody answers, or not in the way of this release: the next one would not either.
bool IsLost(const grpc::Status& status) {
  const grpc::StatusCode code = status.error_code();
  return (code == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) ||
         code == grpc::StatusCode::DEADLINE_EXCEEDED || code == grpc::StatusCode::UNIMPLEMENTED;
}

// "spec.uds.path" for "vm.spec.uds.path", "name" for "vm_id".
std::string OwnField(const std::string& field) {
  if (field == "vm_id" || field == "network_id" || field == "policy_id" || field == "forward_id") return "name";
  absl::string_view own = field;
  for (const char* prefix : {"vm.", "network.", "policy.", "forward."}) {
    if (absl::ConsumePrefix(&own, prefix)) break;
  }
  return std::string(own);
}

// What the daemon said about one object, where that stands.
template <typename Object>
void Tell(const Object& object, const grpc::Status& status) {
  const std::string& name = object.message.name();
  const std::vector<FieldFault> faults = FieldFaultsOf(status);
  for (const FieldFault& fault : faults) {
    const std::string field = OwnField(fault.field);
    std::fprintf(stderr, "kinsockctl: %s: %s: %s: %s\n", PlaceOfField(object, field).c_str(), name.c_str(),
                 field.c_str(), fault.what.c_str());
  }
  if (!faults.empty()) return;
  const std::string reason = ErrorReasonOf(status), next = NextStepAfter(status, "apply");
  const std::string kind = reason.empty() ? StatusName(status.error_code()) : reason;
  std::fprintf(stderr, "kinsockctl: %s: %s: %s: %s\n", object.place.c_str(), name.c_str(), kind.c_str(),
               status.error_message().c_str());
  if (!next.empty()) std::fprintf(stderr, "  try: %s\n", next.c_str());
}

template <typename Message>
Becomes Compare(bool existed, const Message& before, const Message& now) {
  if (!existed || (!now.uid().empty() && now.uid() != before.uid())) return Becomes::kCreated;
  return now.generation() == before.generation() ? Becomes::kUnchanged : Becomes::kChanged;
}

}  // namespace

// A VM on its way: GetVm, then ApplyVm.
struct Applier::VmCall {
  const Described<v1::Vm>* vm = nullptr;
  size_t result = 0;
  bool is_applying = false;
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Vm>> reader;
  v1::Vm before;
  v1::Vm now;
  grpc::Status status;
};

template <typename Object>
Applied& Applier::AddResult(const Object& object) {
  return results_.emplace_back(Applied{.name = object.message.name(), .place = object.place});
}

void Applier::Count() {
  ++done_;
  progress_.Say(absl::StrCat(settings_.dry_run ? "checking: " : "applying: ", done_, " of ", all_));
}

bool Applier::IsUnchecked(const std::string& parent, Applied& result) {
  if (!settings_.dry_run || to_be_made_.count(parent) == 0) return false;
  result.becomes = Becomes::kCreated;
  result.unchecked = true;
  to_be_made_.insert(result.name);
  Count();
  return true;
}

template <typename Object>
void Applier::Finish(const Object& object, const grpc::Status& status, Applied& result) {
  Count();
  if (status.ok()) {
    if (result.becomes == Becomes::kCreated) to_be_made_.insert(result.name);
    return;
  }
  result.becomes = Becomes::kRefused;
  result.reason = ErrorReasonOf(status).empty() ? StatusName(status.error_code()) : ErrorReasonOf(status);
  result.message = status.error_message();
  // Once, and not for each that was under way.
  if (IsLost(status) && std::exchange(lost_, true)) return;
  progress_.Clear();
  if (IsLost(status)) {
    std::fprintf(stderr, "kinsockctl: %s: %s:\n", object.place.c_str(), result.name.c_str());
    code_ = Worse(code_, client_.Report(status));
    return;
  }
  Tell(object, status);
  code_ = Worse(code_, ExitCodeOf(status.error_code()));
}

template <typename Calls, typename Object>
grpc::Status Applier::ApplyOne(const Object& object, Applied& result) {
  using Message = typename Calls::Message;
  Message there, now;
  // Somebody else may make it between the question and the answer; then there it is.
  for (int attempt = 0;; ++attempt) {
    grpc::ClientContext asking, changing;
    client_.SetDeadline(asking, kQuestionTimeout);
    client_.SetDeadline(changing, kChangeTimeout);
    grpc::Status status = Calls::Get(client_, asking, result.name, there);
    result.existed = status.ok();
    if (status.ok() && IsSame<Calls>(object.message, there)) {
      result.becomes = Becomes::kUnchanged;
      return status;
    }
    if (status.ok()) {
      status = Calls::Update(client_, changing, object.message, settings_.dry_run, now);
    } else if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
      status = Calls::Create(client_, changing, object.message, settings_.dry_run, now);
      if (status.error_code() == grpc::StatusCode::ALREADY_EXISTS && attempt == 0 &&
          absl::EndsWith(ErrorReasonOf(status), "_EXISTS")) {
        continue;
      }
    }
    if (status.ok()) result.becomes = Compare(result.existed, there, now);
    return status;
  }
}

template <typename Calls, typename Object>
void Applier::ApplyAll(const std::vector<Object>& objects) {
  for (const Object& object : objects) {
    Applied& result = AddResult(object);
    if (lost_ || IsUnchecked(Calls::Parent(object.message), result)) continue;
    const grpc::Status status = ApplyOne<Calls>(object, result);
    Finish(object, status, result);
  }
}

void Applier::Start(VmCall& call, grpc::CompletionQueue& queue) {
  v1::GetVmRequest request;
  request.set_name(call.vm->message.name());
  call.context = std::make_unique<grpc::ClientContext>();
  client_.SetDeadline(*call.context, kQuestionTimeout);
  call.reader = client_.vms().AsyncGetVm(call.context.get(), request, &queue);
  call.reader->Finish(&call.before, &call.status, &call);
}

void Applier::GoOn(VmCall& call, grpc::CompletionQueue& queue) {
  v1::ApplyVmRequest request;
  request.set_vm_id(ShortVmName(call.vm->message.name()));
  *request.mutable_vm() = call.vm->message;
  request.mutable_vm()->clear_status();
  request.set_validate_only(settings_.dry_run);
  request.set_force_conflicts(settings_.force_conflicts);
  call.is_applying = true;
  call.context = std::make_unique<grpc::ClientContext>();
  client_.SetDeadline(*call.context, kChangeTimeout);
  call.reader = client_.vms().AsyncApplyVm(call.context.get(), request, &queue);
  call.reader->Finish(&call.now, &call.status, &call);
}

void Applier::ApplyVms(const std::vector<Described<v1::Vm>>& vms) {
  const size_t first = results_.size();
  for (const Described<v1::Vm>& vm : vms) AddResult(vm);
  grpc::CompletionQueue queue;
  std::deque<VmCall> calls;
  std::vector<VmCall*> idle;
  for (size_t i = 0; i < kAtOnce; ++i) idle.push_back(&calls.emplace_back());
  size_t next = 0;
  for (;;) {
    while (!lost_ && !idle.empty() && next < vms.size()) {
      const size_t index = next++;
      if (IsUnchecked(vms[index].message.spec().network(), results_[first + index])) continue;
      VmCall& call = *idle.back();
      idle.pop_back();
      call = VmCall{.vm = &vms[index], .result = first + index};
      Start(call, queue);
    }
    if (idle.size() == kAtOnce) break;
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    VmCall& call = *static_cast<VmCall*>(tag);
    Applied& result = results_[call.result];
    const bool is_new = call.status.error_code() == grpc::StatusCode::NOT_FOUND;
    if (!call.is_applying && (call.status.ok() || is_new)) {
      result.existed = call.status.ok();
      GoOn(call, queue);
      continue;
    }
    if (call.status.ok()) result.becomes = Compare(result.existed, call.before, call.now);
    Finish(*call.vm, call.status, result);
    idle.push_back(&call);
  }
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
}

ExitCode Applier::Apply(const Manifest& manifest) {
  all_ = manifest.size();
  results_.reserve(all_);
  ApplyAll<NetworkCalls>(manifest.networks);
  ApplyAll<PolicyCalls>(manifest.policies);
  ApplyVms(manifest.vms);
  ApplyAll<ForwardCalls>(manifest.forwards);
  progress_.Clear();
  return code_;
}

}  // namespace kinsock
