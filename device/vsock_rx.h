// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VSOCK_RX_H_
#define KINSOCK_DEVICE_VSOCK_RX_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/counter.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "base/token_bucket.h"
#include "device/device_spec.h"
#include "device/device_stats.h"
#include "device/receive_ring.h"
#include "device/vmm_event_fd.h"
#include "router/flow_table.h"
#include "router/port.h"

namespace kinsock {

// The receive side of one guest: the connections it takes part in, and the way into its receive buffers.
//
// This is the one thing of a device that several threads share. Whoever has a packet for the guest delivers it
// itself, so that the payload is copied once, from the sender's memory into the receiver's, whichever
// reactors the two live on. A monitor: one lock, held for one bounded batch, and no lock is taken under it.
class VsockRx final : public Port, private Poller {
 public:
  // RSTs that may wait for buffers because of what this guest itself has sent: two full rings of Linux. Beyond
  // it the guest's transmit ring is not served until it posts buffers (its own doing, nobody else's loss).
  static constexpr size_t kMaxQueuedReplies = 256;

  // `loop`: of the device's own reactor; it is not used after Close(), but for its clock. `broken`: notified when the
  // ring has to be stopped. `over_rate`: when payload waits for the rate, and Refill() is expected after
  // TimeToRefill().
  VsockRx(DeviceId device, Cid cid, const DeviceLimits& limits, std::shared_ptr<DeviceStats> stats, EventLoop& loop,
          std::shared_ptr<Wakeup> broken, std::shared_ptr<Wakeup> over_rate);

  // Port. Any thread.
  Progress Deliver(Lane& lane, uint32_t budget) override ABSL_LOCKS_EXCLUDED(mutex_);
  void AskForCredit(const std::shared_ptr<Flow>& flow) override ABSL_LOCKS_EXCLUDED(mutex_);
  void ResetFlow(const std::shared_ptr<Flow>& flow) override ABSL_LOCKS_EXCLUDED(mutex_);

  // --- The rest is called by the device's own reactor. ---

  // Notified when a flow of which this guest's packets are held (Flow::Hold) may go on, or has ended.
  void SetReleased(std::shared_ptr<Wakeup> released) ABSL_LOCKS_EXCLUDED(mutex_);

  // The ring: packets flow from Start() to Stop(); in between and after Stop() they wait. Close(): there is no
  // driver any more, whatever is offered is refused until the next Start(). Stop() and Close() return the last
  // reference to the guest's memory that this holds.
  void Start(ReceiveRing ring) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const GuestMemory> Stop(uint16_t& next_avail) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const GuestMemory> Close() ABSL_LOCKS_EXCLUDED(mutex_);
  // The guest becomes `next`, which is new: that has the ring from here on, what is left of the limits and who waits to
  // hear of what; this is closed for good. Replies that wait go along if the driver is to get them. Empties the table;
  // the caller closes the flows, which go on to name this.
  enum class Replies : uint8_t { kKeep, kDrop };
  FlowTable::Map HandOver(VsockRx& next, Replies replies) ABSL_LOCKS_EXCLUDED(mutex_);
  void SetCall(std::shared_ptr<VmmEventFd> call) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Relocate(std::shared_ptr<const GuestMemory> memory) ABSL_LOCKS_EXCLUDED(mutex_);
  // The driver has posted buffers. False: none that were waited for.
  bool OnKick() ABSL_LOCKS_EXCLUDED(mutex_);
  bool broken() ABSL_LOCKS_EXCLUDED(mutex_);

  // What is more already stays.
  void SetLimits(const DeviceLimits& limits) ABSL_LOCKS_EXCLUDED(mutex_);
  // How long what waits for the rate (DeviceLimits::bytes_to_guest) has to.
  std::chrono::nanoseconds TimeToRefill() ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets it go on, as far as the time that has passed allows.
  void Refill() ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes a flow that begins at this end into the table. kFull, kTooOften: a limit is in the way.
  enum class AdmitResult : uint8_t { kAdmitted, kTaken, kFull, kTooOften };
  AdmitResult Admit(const std::shared_ptr<Flow>& flow) ABSL_LOCKS_EXCLUDED(mutex_);
  // The flow of that key, null if there is none.
  std::shared_ptr<Flow> Find(const FlowKey& key) ABSL_LOCKS_EXCLUDED(mutex_);
  // The flow is closed; the guest knows.
  void Forget(const Flow& flow) ABSL_LOCKS_EXCLUDED(mutex_);
  // Empties the table, and drops the replies that wait. The caller closes the flows.
  FlowTable::Map TakeFlows() ABSL_LOCKS_EXCLUDED(mutex_);
  // A copy of the table's flows.
  std::vector<std::shared_ptr<Flow>> Flows() ABSL_LOCKS_EXCLUDED(mutex_);

  // From now on no connection begins at this port, or one may again. `drained`: notified when none is left. Null: the
  // port is not draining.
  void SetDrained(std::shared_ptr<Wakeup> drained) ABSL_LOCKS_EXCLUDED(mutex_);

  // Sends a packet without payload; it waits if there is no buffer. For RSTs, which need no flow.
  void SendReply(const VsockHeader& header) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether kMaxQueuedReplies wait. If so, `resume` is notified when they are gone.
  bool RepliesBackedUp(const std::shared_ptr<Wakeup>& resume) ABSL_LOCKS_EXCLUDED(mutex_);

  // What the guest has earned by what it was sent, ever (ControlAllowance).
  uint64_t earned() const { return earned_.value(); }

  // For the guest's host side. False, or kNoBuffers: nothing happened, `resume` will be notified.
  bool TrySend(const VsockHeader& header, const std::shared_ptr<Wakeup>& resume) ABSL_LOCKS_EXCLUDED(mutex_);
  ReceiveRing::ReadResult ReadFrom(int fd, const VsockHeader& header, uint32_t limit,
                                   const std::shared_ptr<Wakeup>& resume) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same for bytes that are here: as many of `bytes` as there are buffers for. kOk or kNoBuffers.
  ReceiveRing::ReadResult PutBytes(absl::string_view bytes, const VsockHeader& header,
                                   const std::shared_ptr<Wakeup>& resume) ABSL_LOCKS_EXCLUDED(mutex_);
  ReceiveRing::ReadResult ReadMessage(int fd, const VsockHeader& header, uint32_t limit, uint32_t largest,
                                      const std::shared_ptr<Wakeup>& resume) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Poller.
  bool Poll() override ABSL_LOCKS_EXCLUDED(mutex_);
  bool Rest() override ABSL_LOCKS_EXCLUDED(mutex_);

  enum class Mode : uint8_t { kClosed, kRunning, kStopped };
  enum class Step : uint8_t { kDone, kNoBuffer, kOverRate };

  // What outlives a change of the guest's address.
  struct Estate {
    Mode mode = Mode::kClosed;
    std::optional<ReceiveRing> ring;
    std::deque<VsockHeader> replies;
    TokenBucket connects;
    TokenBucket bytes;
    uint64_t earned = 0;
    std::shared_ptr<Wakeup> drained;
  };
  void Inherit(Estate estate) ABSL_LOCKS_EXCLUDED(mutex_);

  Step Offer(Lane& lane, Packet& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Flow* Accept(Packet& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Flow* AcceptRequest(Packet& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndFor(Packet& packet, std::shared_ptr<Flow> flow, CloseReason reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Flow* FindAgain(Packet& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HoldBack(Packet& packet, const std::shared_ptr<Flow>& flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AfterPayload(Lane& lane, const VsockHeader& header, Flow& flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountEarned(const VsockHeader& header, uint32_t packets) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Ask(Flow& flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReleaseHeld(const Flow& flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint32_t BuffersInTurn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Erase(const FlowKey& key, const Flow& flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteIfDrained() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Put(Packet& packet, Flow& flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellProbe(const VsockHeader& header, uint32_t bytes) const;
  bool FlushReplies() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool DrainReplies() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ReceiveRing::ReadResult Read(uint32_t limit, const std::shared_ptr<Wakeup>& resume,
                               absl::FunctionRef<ReceiveRing::ReadResult(ReceiveRing& ring, uint32_t limit)> read)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishRead(const ReceiveRing::ReadResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Finish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool OverRate(const std::shared_ptr<Wakeup>& resume) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MayConnect() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeLimited() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WaitForBuffers(const std::shared_ptr<Wakeup>& resume) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasOrAwaitsBuffers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopPolling() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeWaiters() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<DeviceStats> stats_;
  EventLoop& loop_;
  const std::shared_ptr<Wakeup> broken_;
  const std::shared_ptr<Wakeup> over_rate_;

  Mutex mutex_;
  size_t max_connections_ ABSL_GUARDED_BY(mutex_) = 0;
  TokenBucket connects_ ABSL_GUARDED_BY(mutex_);
  TokenBucket bytes_ ABSL_GUARDED_BY(mutex_);                                     // payload for the guest
  std::vector<std::shared_ptr<Wakeup>> limited_waiters_ ABSL_GUARDED_BY(mutex_);  // for bytes_
  Mode mode_ ABSL_GUARDED_BY(mutex_) = Mode::kClosed;
  std::optional<ReceiveRing> ring_ ABSL_GUARDED_BY(mutex_);  // kRunning
  FlowTable flows_ ABSL_GUARDED_BY(mutex_);
  std::deque<VsockHeader> replies_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Wakeup>> waiters_ ABSL_GUARDED_BY(mutex_);
  size_t contenders_ ABSL_GUARDED_BY(mutex_) = 0;  // how many waited when buffers came last
  std::shared_ptr<Wakeup> released_ ABSL_GUARDED_BY(mutex_);
  Counter earned_;  // written under the lock
  std::shared_ptr<Wakeup> drained_ ABSL_GUARDED_BY(mutex_);
  bool polled_ ABSL_GUARDED_BY(mutex_) = false;  // the loop looks at the ring: the driver need not kick
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VSOCK_RX_H_
