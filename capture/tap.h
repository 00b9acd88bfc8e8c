// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_TAP_H_
#define KINSOCK_CAPTURE_TAP_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "base/scatter_list.h"
#include "capture/copy_pool.h"
#include "capture/point.h"
#include "capture/session.h"
#include "router/vsock_header.h"

namespace kinsock {

// Where a reactor's packets are looked at (docs/adr/0018-capture.md). Each thread has its own tap, and whoever moves a
// packet on that thread asks for it:
//
//     if (CaptureTap* tap = CaptureTap::Active()) [[unlikely]] tap->Take(...);
//
// or, where payload has to be copied first, Reserve() and then Fill(): what there is no room for is not copied.
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

  // A packet with `length` bytes of payload passes `point`. Makes room for it in the captures that want it, and says
  // how much of its payload the one that wants most does; 0 also if none has room. Fill() is owed.
  uint32_t Reserve(const CapturePoint& point, const VsockHeader& header, uint32_t length);
  // The same packet, of whose payload the first `available` bytes lie in `payload` from `offset` on.
  void Fill(const CapturePoint& point, const VsockHeader& header, uint32_t length, const ScatterList& payload,
            size_t offset, uint32_t available);

  // Both, of a packet all of whose payload is there.
  void Take(const CapturePoint& point, const VsockHeader& header, const ScatterList& payload, size_t offset) {
    Reserve(point, header, header.len);
    Fill(point, header, header.len, payload, offset, header.len);
  }

  // Memory for copies of payload that are made for captures, as long as there are any.
  CopyPool& copies() { return copies_; }

 private:
  struct Attached {
    std::shared_ptr<CaptureSession> session;
    CaptureSession::Lane* lane;
    bool reserved = false;  // Fill() is owed
  };
  static CaptureTap& OfThread();

  static inline constinit thread_local CaptureTap* active_ = nullptr;
  std::vector<Attached> attached_;
  CopyPool copies_;
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_TAP_H_
