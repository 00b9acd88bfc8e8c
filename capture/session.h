// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_SESSION_H_
#define KINSOCK_CAPTURE_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/counter.h"
#include "base/event_loop.h"
#include "base/scatter_list.h"
#include "capture/filter.h"
#include "capture/point.h"
#include "capture/point_counters.h"
#include "capture/record.h"
#include "capture/record_ring.h"
#include "router/vsock_header.h"

namespace kinsock {

// One capture: what it wants to see, and what was seen and not yet read. Each reactor writes into a lane of its own,
// and never waits: what finds no room is counted, at its point, and gone. One reader takes records out of all lanes
// (CaptureReader).
class CaptureSession {
 public:
  // Memory of all lanes together, of which only what was used is real: a tenth of a second of a busy node. Beyond:
  // packets are lost, and counted.
  static constexpr size_t kMaxBytes = 16u << 20;
  static constexpr size_t kMinLaneBytes = 256u << 10;  // of 64 reactors
  static constexpr size_t kMaxLaneBytes = 8u << 20;
  // A lane that is so full, in parts of its size, has its reader woken.
  static constexpr size_t kWakeAt = 8;

  // What one reactor does for the capture. All methods but the readers' are called by that reactor. A packet is taken
  // in two steps, because it may cost something to have its payload: nothing, if there is no room.
  class Lane {
   public:
    Lane(const CaptureSession& session, size_t bytes) : session_(session), ring_(bytes) {}

    // Makes room for a packet with `length` bytes of payload, if the capture wants it. False: it does not, or there is
    // none, which is counted.
    bool Reserve(const CapturePoint& point, const VsockHeader& header, uint32_t length);
    // Bytes of payload that there is room for now.
    uint32_t wanted() const { return wanted_; }
    // Takes the packet that Reserve() has made room for. The first `available` bytes of its payload lie in `payload`
    // from `offset` on; if these are fewer than are wanted, what is missing is counted.
    void Fill(const CapturePoint& point, const VsockHeader& header, uint32_t length, const ScatterList& payload,
              size_t offset, uint32_t available);

    // The reader's.
    RecordRing& ring() { return ring_; }
    const PointCounters& counters() const { return counters_; }
    // Any thread.
    uint64_t lost() const { return lost_.value(); }
    uint64_t cut() const { return cut_.value(); }

   private:
    const CaptureSession& session_;
    RecordRing ring_;
    char* place_ = nullptr;  // in the ring, of the packet that is taken now
    uint32_t wanted_ = 0;
    PointCounters counters_;
    Counter lost_;
    Counter cut_;
  };

  // `payload_bytes`: of each packet so many are kept, 0: only headers. `reactors`: lanes, 1 or more. `filled`: notified
  // when a lane fills up; may be null.
  CaptureSession(CaptureFilter filter, uint32_t payload_bytes, size_t reactors, std::shared_ptr<Wakeup> filled);
  CaptureSession(const CaptureSession&) = delete;
  CaptureSession& operator=(const CaptureSession&) = delete;

  Lane& lane(size_t reactor) { return *lanes_[reactor]; }
  size_t lanes() const { return lanes_.size(); }

  // Packets that were lost, and those whose payload was. Any thread.
  uint64_t lost() const;
  uint64_t cut() const;

 private:
  const CaptureFilter filter_;
  const uint32_t payload_bytes_;
  const std::shared_ptr<Wakeup> filled_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_SESSION_H_
