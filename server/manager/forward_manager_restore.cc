// SPDX-License-Identifier: Apache-2.0
//
// ForwardManager: forwards that an earlier start of the daemon has left.
#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "server/host/log.h"
#include "server/manager/forward_manager.h"
#include "server/model/forward_validation.h"
#include "server/status/error.h"

namespace kinsock {

void ForwardManager::Restore(SavedState& saved) {
  loop_.thread().AssertHeld();
  for (ForwardDefinitionPtr& definition : saved.forwards) Add(std::move(definition)).kept = true;
  for (const AnsweredObjectRequest& request : saved.object_requests) {
    if (request.kind == AnsweredObjectRequest::Kind::kForward) restored_requests_.push_back(request);
  }
}

void ForwardManager::ServeRestored(absl::FunctionRef<bool()> give_up, EventLoop::Task done) {
  loop_.thread().AssertHeld();
  when_restored_ = std::move(done);
  std::vector<ForwardId> restored;
  for (const auto& [id, entry] : forwards_) {
    if (!entry.made) restored.push_back(entry.number);
  }
  restoring_ = restored.size() + 1;  // one for this loop
  for (const ForwardId number : restored) {
    if (give_up()) return;
    Entry& entry = *Find(number);
    // The configuration file does not say the VM any more: with a VM its forwards go.
    if (absl::IsNotFound(vms_.Get(entry.definition->spec.vm_id()).status())) {
      Log(LogLevel::kWarning, "forward.gone")
          .With("forward", entry.definition->name())
          .With("vm", entry.definition->spec.vm);
      JournalEntry gone;
      gone.erase_forward = entry.definition->id;
      Remove(number);
      journal_.Commit(std::move(gone), [this](const absl::Status&) { EndOneRestoration(); });
      continue;
    }
    const auto on_served = [this, number](const absl::Status& served) {
      Entry* again = Find(number);
      if (again != nullptr) {
        again->changing = false;
        again->made = true;
        again->kept = false;
        if (!served.ok()) {
          // It is never lost because it cannot be served at the moment.
          again->place.reset();
          again->device.reset();
          again->error = std::string(served.message());
          Log(LogLevel::kError, "forward.not_restored")
              .With("forward", again->definition->name())
              .With("reason", served.message());
        }
        if (on_change_) on_change_(Change::kCreated, *again->definition);
      }
      EndOneRestoration();
    };
    if (const absl::Status begun = ServeAgain(entry, on_served); !begun.ok()) on_served(begun);
  }
  EndOneRestoration();
}

// OK: `served` will be called.
absl::Status ForwardManager::ServeAgain(Entry& entry, Served served) {
  const ForwardSpec& spec = entry.definition->spec;
  KINSOCK_ASSIGN_OR_RETURN(const DeviceId device, vms_.ServedDevice(spec.vm_id()));
  std::vector<FieldViolation> violations = CheckForward(spec);
  absl::Status busy;
  if (violations.empty()) busy = ForwardPlace::Check(spec, sockets_, WithinFor(false), violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  KINSOCK_RETURN_IF_ERROR(busy);
  KINSOCK_RETURN_IF_ERROR(CheckPort(spec, entry.number, false));
  KINSOCK_ASSIGN_OR_RETURN(entry.place, ForwardPlace::Take(spec, entry.definition->name(), sockets_, WithinFor(false)));
  Serve(entry, device, std::move(served));
  return absl::OkStatus();
}

// What is left of an answer after a restart: the forward as it is now, or, when it is no more, which it was.
void ForwardManager::EndOneRestoration() {
  if (--restoring_ > 0) return;
  const auto now = std::chrono::system_clock::now();
  for (const AnsweredObjectRequest& request : std::exchange(restored_requests_, {})) {
    if (request.forget_at <= now) continue;
    const auto found = forwards_.find(request.object);
    ForwardSnapshot result;
    if (found != forwards_.end() && found->second.definition->uid == request.uid) {
      result = Look(found->second);
    } else {
      auto gone = std::make_shared<ForwardDefinition>();
      gone->id = request.object;
      gone->uid = request.uid;
      result.definition = std::move(gone);
    }
    answers_.Remember(request.id, request.hash, std::move(result), request.forget_at - now);
  }
  std::exchange(when_restored_, nullptr)();
}

}  // namespace kinsock
