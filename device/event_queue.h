// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_EVENT_QUEUE_H_
#define KINSOCK_DEVICE_EVENT_QUEUE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "device/guest_memory.h"
#include "device/virtqueue.h"
#include "device/vmm_event_fd.h"

namespace kinsock {

// The event queue of one guest (virtio 1.3, 5.10.6.8): what the device tells the driver besides packets. There is one
// event, TRANSPORT_RESET: the driver then resets its connections and reads its CID anew.
//
// Some VMMs keep the queue to themselves (QEMU does); then it is never started.
//
// Thread: the device's reactor.
class EventQueue {
 public:
  void Start(Virtqueue queue, std::shared_ptr<VmmEventFd> call);
  // Returns the entry to go on with, and hands out the last reference to the guest's memory that this holds. An event
  // that the driver has no buffer for waits on.
  uint16_t Stop(std::shared_ptr<const GuestMemory>& memory);
  void SetCall(std::shared_ptr<VmmEventFd> call) { call_ = std::move(call); }
  absl::Status Relocate(std::shared_ptr<const GuestMemory> memory);

  // Tells the driver, now or when it posts a buffer, or goes on after a pause. Several that wait are one. False: there
  // is no driver that has such a queue.
  bool SendTransportReset();
  // Whether there is a driver that has such a queue, and whether what SendTransportReset() said still waits for it.
  bool has_driver() const { return has_driver_; }
  bool reset_waits() const { return reset_waits_; }
  // The driver is gone: what waits is not for the next one.
  void Forget();
  // The driver has posted buffers. True if one was waited for.
  bool OnKick();

  bool broken() const { return broken_ || (queue_.has_value() && queue_->memory().faulted()); }

 private:
  void Flush();

  std::optional<Virtqueue> queue_;
  std::shared_ptr<VmmEventFd> call_;
  DescriptorChain chain_;
  bool has_driver_ = false;
  bool reset_waits_ = false;
  bool broken_ = false;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_EVENT_QUEUE_H_
