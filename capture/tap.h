// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_TAP_H_
#define KINSOCK_CAPTURE_TAP_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "base/scatter_list.h"
#include "capture/point.h"
#include "capture/session.h"
#include "router/vsock_header.h"

namespace kinsock {

// Where a reactor's packets are looked at (docs/adr/0018-capture.md). Each thread has its own tap, and whoever moves a
// packet on that thread asks for it:
//
//     if (CaptureTap* tap = CaptureTap::Active()) [[unlikely]] tap->Take(...);
//
// While nobody captures that is one load of the thread's own memory for each packet, and a branch that is not taken. It
// is the thread's, not the device's, because a packet is given to a guest by the reactor of its sender: so each lane of
// a capture has one writer.
class CaptureTap {
 public:
  // Null: nobody captures.
  static CaptureTap* Active() { return active_; }

  // From now on, until Detach(), `session` sees what this thread moves, in its lane `lane`, which no other thread has.
  static void Attach(std::shared_ptr<CaptureSession> session, size_t lane);
  static void Detach(const CaptureSession& session);

  // The most payload that a capture wants to see of this packet; 0: none does, or only the header.
  uint32_t PayloadWanted(const CapturePoint& point, const VsockHeader& header) const;

  // A packet that passes `point`, with `length` bytes of payload, of which the first `available` lie in `payload` from
  // `offset` on.
  void Take(const CapturePoint& point, const VsockHeader& header, uint32_t length, const ScatterList& payload,
            size_t offset, uint32_t available);

 private:
  struct Attached {
    std::shared_ptr<CaptureSession> session;
    CaptureSession::Lane* lane;
  };
  static CaptureTap& OfThread();

  static inline constinit thread_local CaptureTap* active_ = nullptr;
  std::vector<Attached> attached_;
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_TAP_H_
