// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_RING_SETUP_H_
#define KINSOCK_DEVICE_RING_SETUP_H_

#include <cstdint>
#include <memory>

#include "base/unique_fd.h"
#include "device/virtqueue.h"
#include "device/vmm_event_fd.h"

namespace kinsock {

// What a front-end has said about one ring so far. Plain values; belongs to the session.
struct RingSetup {
  VringLayout layout;  // event_idx and indirect are taken from the features when the ring starts
  bool has_addresses = false;
  bool enabled = false;
  bool running = false;               // the device serves it
  UniqueFd kick;                      // valid: the ring is started, in the words of the specification
  std::shared_ptr<VmmEventFd> call;   // interrupts the driver; null: it polls
  std::shared_ptr<VmmEventFd> error;  // signalled when the ring makes no sense; null: nobody wants to know
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_RING_SETUP_H_
