// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_VM_WATCH_H_
#define KINSOCK_SERVER_SERVICE_VM_WATCH_H_

#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "api/kinsock/v1/watch.pb.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "server/manager/event_hub.h"
#include "server/manager/vm_manager.h"
#include "server/model/vm_filter.h"
#include "server/rpc/held_stream.h"
#include "server/rpc/watch_quota.h"

namespace kinsock {

// One WatchVms stream: the two halves of a conversation between the main thread, which knows what happens, and
// gRPC's threads, which know when the client can take more.
//
//     main:  Start -> Pump ------ batch of events ------> StartWrite
//                      ^                                      | OnWriteDone, one by one
//                      '------- the batch is written ---------'       OnCancel, OnDone: from gRPC
//
// Only the batch under way is in memory for a client, however slow it is; what comes after stays in the hub. No
// thread waits for it.
class VmWatch final : public HeldStream<VmWatch, v1::WatchVmsResponse> {
 public:
  // Any thread. `main`, `manager` and `hub` outlive the gRPC server, and main runs until it is shut down.
  static VmWatch* Start(EventLoop& main, VmManager& manager, EventHub& hub, const v1::WatchRequest& request,
                        WatchQuota::Ticket ticket);

  ~VmWatch() override = default;

  void OnWriteDone(bool ok) override;

 private:
  // What is to be written: an event, or SYNCED or BOOKMARK at a version. Converted where it is written. An event
  // of the initial list carries no version to resume from.
  struct Item {
    std::optional<VmEvent> event;
    v1::WatchVmsResponse::Type mark = v1::WatchVmsResponse::TYPE_UNSPECIFIED;
    uint64_t version = 0;
    bool initial = false;
  };

  VmWatch(EventLoop& main, VmManager& manager, EventHub& hub, const v1::WatchRequest& request,
          WatchQuota::Ticket ticket);

  // Main thread.
  void Begin() override;
  absl::Status Subscribe();
  void Pump();
  bool Tell(VmEvent& event);
  absl::Status Collect(std::vector<Item>& batch);
  void ArmBookmark();
  void Stop() override;

  // Any thread.
  void Send(std::vector<Item> batch);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  VmManager& manager_;
  EventHub& hub_;
  const std::string epoch_;
  const v1::WatchRequest request_;

  // Main thread's.
  std::unique_ptr<EventHub::Subscription> subscription_;
  VmManager::SnapshotList initial_;  // null: there is none, or all of it was sent
  size_t next_initial_ = 0;
  VmFilter filter_;
  // With a filter: the VMs (hashes of their uids) that the client knows of; 16,384 at most, some 20 bytes each. In a
  // watch that was resumed, also those of which it was said that they do not match.
  absl::flat_hash_set<size_t> told_, told_not_;
  bool writing_ = false;  // a batch is out
  bool bookmark_due_ = false;
  std::optional<EventLoop::TimerId> bookmark_timer_;
  std::chrono::nanoseconds bookmark_interval_{};

  // Under the lock of HeldStream.
  std::vector<Item> batch_ ABSL_GUARDED_BY(mutex_);
  size_t next_in_batch_ ABSL_GUARDED_BY(mutex_) = 0;
  v1::WatchVmsResponse response_ ABSL_GUARDED_BY(mutex_);  // being written
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_VM_WATCH_H_
