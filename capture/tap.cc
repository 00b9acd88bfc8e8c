// SPDX-License-Identifier: Apache-2.0
#include "capture/tap.h"

#include <algorithm>
#include <utility>

namespace kinsock {

CaptureTap& CaptureTap::OfThread() {
  static thread_local CaptureTap tap;
  return tap;
}

void CaptureTap::Attach(std::shared_ptr<CaptureSession> session, size_t lane) {
  CaptureTap& tap = OfThread();
  CaptureSession::Lane& own = session->lane(lane);
  tap.attached_.push_back({std::move(session), &own});
  active_ = &tap;
}

void CaptureTap::Detach(const CaptureSession& session) {
  CaptureTap& tap = OfThread();
  std::erase_if(tap.attached_, [&](const Attached& each) { return each.session.get() == &session; });
  if (tap.attached_.empty()) active_ = nullptr;
}

uint32_t CaptureTap::PayloadWanted(const CapturePoint& point, const VsockHeader& header) const {
  uint32_t wanted = 0;
  for (const Attached& each : attached_) {
    const uint32_t bytes = each.lane->payload_bytes();
    if (bytes > wanted && each.lane->Matches(point, header)) wanted = bytes;
  }
  return wanted;
}

void CaptureTap::Take(const CapturePoint& point, const VsockHeader& header, uint32_t length, const ScatterList& payload,
                      size_t offset, uint32_t available) {
  for (const Attached& each : attached_) {
    if (!each.lane->Matches(point, header)) continue;
    if (available < std::min(length, each.lane->payload_bytes())) each.lane->CountCut();
    each.lane->Take(point, header, length, payload, offset, available);
  }
}

}  // namespace kinsock
