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
  if (!tap.attached_.empty()) return;
  active_ = nullptr;
  tap.copies_.Clear();
}

uint32_t CaptureTap::Reserve(const CapturePoint& point, const VsockHeader& header, uint32_t length) {
  uint32_t wanted = 0;
  for (Attached& each : attached_) {
    each.reserved = each.lane->Reserve(point, header, length);
    if (each.reserved) wanted = std::max(wanted, each.lane->wanted());
  }
  return wanted;
}

void CaptureTap::Fill(const CapturePoint& point, const VsockHeader& header, uint32_t length, const ScatterList& payload,
                      size_t offset, uint32_t available) {
  for (Attached& each : attached_) {
    if (std::exchange(each.reserved, false)) each.lane->Fill(point, header, length, payload, offset, available);
  }
}

}  // namespace kinsock
