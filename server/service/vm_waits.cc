// SPDX-License-Identifier: Apache-2.0
#include "server/service/vm_waits.h"

#include <utility>
#include <vector>

#include "server/manager/vm_refusals.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr size_t kBatch = 64;

}  // namespace

VmWaits::Id VmWaits::Add(VmGoal goal, Done done) {
  main_.thread().AssertHeld();
  const Id id = next_id_++;
  const absl::StatusOr<VmSnapshotPtr> now = manager_.Get(goal.id);
  if (!now.ok()) {
    goal.kind == VmGoal::Kind::kDeleted ? done(VmSnapshotPtr()) : done(now.status());
    return id;
  }
  if (goal.IsReachedBy(**now)) {
    done(*now);
    return id;
  }
  if (by_id_.size() >= kMaxWaits) {
    done(QuotaExceeded("waits", kMaxWaits, "end some of them, or watch"));
    return id;
  }
  if (subscription_ == nullptr) {
    absl::StatusOr<std::unique_ptr<EventHub::Subscription>> subscription = hub_.Subscribe(hub_.head(), [this] {
      // Not from within the hub: what it leads to may publish.
      main_.Post([this, alive = alive_] {
        if (*alive) Pump();
      });
    });
    if (!subscription.ok()) {
      done(subscription.status());
      return id;
    }
    subscription_ = *std::move(subscription);
    Pump();  // caught up: from here on it calls
  }
  std::string key = goal.id;
  by_id_[id] = waits_.emplace(std::move(key), Wait{id, std::move(goal), std::move(done)});
  return id;
}

void VmWaits::Cancel(Id id) {
  main_.thread().AssertHeld();
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  waits_.erase(found->second);
  by_id_.erase(found);
  if (waits_.empty()) subscription_ = nullptr;
}

void VmWaits::Pump() {
  while (subscription_ != nullptr) {
    const absl::StatusOr<std::vector<VmEvent>> events = subscription_->Take(kBatch);
    if (!events.ok()) return FinishAll(events.status());
    if (events->empty()) return;
    for (const VmEvent& event : *events) Look(event);
  }
}

void VmWaits::Look(const VmEvent& event) {
  const std::string& id = event.vm->definition->id;
  const bool gone = event.type == VmEvent::Type::kDeleted;
  // Those of this VM that were there when the event came; who is told may wait again.
  std::vector<Id> ids;
  const auto [first, last] = waits_.equal_range(id);
  for (auto wait = first; wait != last; ++wait) ids.push_back(wait->second.id);
  for (const Id each : ids) {
    const auto found = by_id_.find(each);
    if (found == by_id_.end()) continue;
    const VmGoal& goal = found->second->second.goal;
    if (gone) {
      const bool wanted = goal.kind == VmGoal::Kind::kDeleted;
      Finish(found->second, wanted ? absl::StatusOr<VmSnapshotPtr>(event.vm) : VmNotFound(id));
    } else if (goal.IsReachedBy(*event.vm)) {
      Finish(found->second, event.vm);
    }
  }
}

void VmWaits::Finish(Waits::iterator wait, absl::StatusOr<VmSnapshotPtr> result) {
  Done done = std::move(wait->second.done);
  Cancel(wait->second.id);
  done(std::move(result));
}

void VmWaits::FinishAll(const absl::Status& reason) {
  // A copy: those who are told may add.
  Waits waits = std::move(waits_);
  waits_.clear();
  by_id_.clear();
  subscription_ = nullptr;
  for (auto& [id, wait] : waits) wait.done(reason);
}

}  // namespace kinsock
