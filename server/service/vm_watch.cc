// SPDX-License-Identifier: Apache-2.0
#include "server/service/vm_watch.h"

#include <utility>

#include "absl/hash/hash.h"
#include "base/status_macros.h"
#include "server/convert/vm_conversion.h"
#include "server/host/log.h"
#include "server/model/resource_version.h"
#include "server/rpc/watch_request.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// Events handed over at a time: enough to spare the main thread a message per event, few enough to be nothing.
constexpr size_t kBatch = 64;

}  // namespace

VmWatch* VmWatch::Start(EventLoop& main, VmManager& manager, EventHub& hub, const v1::WatchRequest& request,
                        WatchQuota::Ticket ticket) {
  return Launch(std::shared_ptr<VmWatch>(new VmWatch(main, manager, hub, request, std::move(ticket))));
}

VmWatch::VmWatch(EventLoop& main, VmManager& manager, EventHub& hub, const v1::WatchRequest& request,
                 WatchQuota::Ticket ticket)
    : HeldStream(main, std::move(ticket)), manager_(manager), hub_(hub), epoch_(hub.epoch()), request_(request) {}

void VmWatch::Begin() {
  main_.thread().AssertHeld();
  if (absl::Status status = Subscribe(); !status.ok()) return EndAtRest(status);
  ArmBookmark();
  Pump();
}

absl::Status VmWatch::Subscribe() {
  KINSOCK_ASSIGN_OR_RETURN(bookmark_interval_, BookmarkInterval(request_));
  KINSOCK_ASSIGN_OR_RETURN(filter_, VmFilter::Parse(request_.filter()));
  uint64_t after = hub_.head();
  if (request_.resource_version().empty()) {
    initial_ = manager_.Snapshot();
  } else {
    KINSOCK_ASSIGN_OR_RETURN(after, VersionToResume(request_, epoch_, hub_.oldest(), hub_.head()));
  }
  // The hub forgets the subscription in Stop(), before this object goes.
  KINSOCK_ASSIGN_OR_RETURN(subscription_, hub_.Subscribe(after, [this] {
    // Not from within the hub: what it does may publish.
    main_.Post([self = shared_from_this()] { self->Pump(); });
  }));
  return absl::OkStatus();
}

void VmWatch::Pump() {
  if (subscription_ == nullptr) return;
  absl::Status status = subscription_->status();
  if (status.ok() && writing_) return;
  std::vector<Item> batch;
  if (status.ok()) status = Collect(batch);
  if (!status.ok()) {
    Stop();
    MutexLock lock(mutex_);
    // What a client can bring about as often as it likes is its own affair.
    if (EndLocked(status) && absl::IsResourceExhausted(status) && ErrorReason(status) == "WATCH_LAGGED") {
      Log(LogLevel::kInfo, "watch.ended").With("reason", ErrorReason(status));
    }
    return;
  }
  if (batch.empty()) return;
  writing_ = true;
  Send(std::move(batch));
}

absl::Status VmWatch::Collect(std::vector<Item>& batch) {
  if (initial_ != nullptr) {
    while (next_initial_ < initial_->size() && batch.size() < kBatch) {
      VmEvent event{VmEvent::Type::kAdded, (*initial_)[next_initial_++]};
      if (Tell(event)) batch.push_back({std::move(event), v1::WatchVmsResponse::TYPE_UNSPECIFIED, 0, true});
    }
    if (next_initial_ < initial_->size()) return absl::OkStatus();
    initial_ = nullptr;
    batch.push_back({std::nullopt, v1::WatchVmsResponse::SYNCED, subscription_->cursor(), false});
    return absl::OkStatus();
  }
  // Until there is something to send, or nothing more: then the hub calls.
  while (batch.empty()) {
    KINSOCK_ASSIGN_OR_RETURN(std::vector<VmEvent> events, subscription_->Take(kBatch));
    if (events.empty()) break;
    for (VmEvent& event : events) {
      const uint64_t version = event.vm->version;
      if (Tell(event)) batch.push_back({std::move(event), v1::WatchVmsResponse::TYPE_UNSPECIFIED, version, false});
    }
  }
  if (std::exchange(bookmark_due_, false) && batch.empty()) {
    batch.push_back({std::nullopt, v1::WatchVmsResponse::BOOKMARK, subscription_->cursor(), false});
  }
  return absl::OkStatus();
}

// Whether the client is to hear of it; makes it what it is to the client.
bool VmWatch::Tell(VmEvent& event) {
  if (filter_.matches_all()) return true;
  const size_t vm = absl::Hash<std::string>()(event.vm->definition->uid);
  const bool resumed = !request_.resource_version().empty();
  if (event.type != VmEvent::Type::kDeleted && filter_.Matches(*event.vm)) {
    const bool known = !told_.insert(vm).second;
    const bool known_not = told_not_.erase(vm) > 0;
    if (!known && (known_not || !resumed)) event.type = VmEvent::Type::kAdded;
    if (known) event.type = VmEvent::Type::kModified;
    return true;
  }
  const bool gone = event.type == VmEvent::Type::kDeleted;
  const bool may_be_known = told_.erase(vm) > 0 || (resumed && told_not_.count(vm) == 0);
  if (gone) told_not_.erase(vm);
  if (!gone && resumed) told_not_.insert(vm);
  event.type = VmEvent::Type::kDeleted;
  return may_be_known;
}

void VmWatch::ArmBookmark() {
  bookmark_timer_ = main_.RunAfter(bookmark_interval_, [this] {
    // The timer goes in Stop(), before this object does.
    bookmark_due_ = true;
    ArmBookmark();
    Pump();  // may stop the watch and take this timer with it
  });
}

void VmWatch::Stop() {
  subscription_ = nullptr;
  initial_ = nullptr;
  if (bookmark_timer_.has_value()) main_.Cancel(*bookmark_timer_);
  bookmark_timer_.reset();
}

void VmWatch::Send(std::vector<Item> batch) {
  MutexLock lock(mutex_);
  if (finished_) return;
  batch_ = std::move(batch);
  next_in_batch_ = 0;
  WriteNext();
}

void VmWatch::WriteNext() {
  const Item& item = batch_[next_in_batch_++];
  response_.Clear();
  if (item.event.has_value()) {
    response_ = ToProto(*item.event, epoch_);
    if (item.initial) response_.clear_resource_version();
  } else {
    response_.set_type(item.mark);
    response_.set_resource_version(ResourceVersion{epoch_, item.version}.ToString());
  }
  // gRPC never calls back from within; so the lock may be held, and must be: no write may follow a Finish().
  StartWrite(&response_);
}

void VmWatch::OnWriteDone(bool ok) {
  if (!ok) return End(absl::CancelledError("the client went away"));
  MutexLock lock(mutex_);
  if (finished_) return;
  if (next_in_batch_ < batch_.size()) return WriteNext();
  batch_.clear();
  main_.Post([self = shared_from_this()] {
    self->writing_ = false;
    self->Pump();
  });
}

}  // namespace kinsock
