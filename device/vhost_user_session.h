// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VHOST_USER_SESSION_H_
#define KINSOCK_DEVICE_VHOST_USER_SESSION_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "device/backend_channel.h"
#include "device/guest_memory.h"
#include "device/ring_setup.h"
#include "device/vhost_user_channel.h"
#include "device/vhost_user_message.h"
#include "device/vmm_event_fd.h"

namespace kinsock {

// What a session does to the device. Implementations return quickly: the front-end's main loop, and with it the
// whole VM, waits for replies.
class VhostUserDevice {
 public:
  // A ring may be served from now on, with the features acknowledged by then. INVALID_ARGUMENT if it cannot.
  virtual absl::Status StartRing(size_t index, const RingSetup& setup, uint64_t features,
                                 std::shared_ptr<const GuestMemory> memory) = 0;
  // A ring that was started must be left alone. Returns the entry to go on with.
  virtual uint16_t StopRing(size_t index) = 0;
  // The eventfd that interrupts the driver has been exchanged on a running ring.
  virtual void SetCall(size_t index, std::shared_ptr<VmmEventFd> call) = 0;
  // The guest's memory has been moved while rings run. On error they are where they were.
  virtual absl::Status MoveMemory(std::shared_ptr<const GuestMemory> memory) = 0;
  // The guest has reset the device: nothing that was before counts any more.
  virtual void ResetDevice() = 0;
  // The last reference to what is no longer mapped by the front-end; unmapping may take long.
  virtual void Discard(std::shared_ptr<const GuestMemory> memory) = 0;
  // Features or memory are other than before, for reports.
  virtual void OnSessionChanged() = 0;
  // The front-end has read the guest's CID as it is now.
  virtual void OnCidRead() = 0;
  // The front-end has been told that the CID is another, as far as it can be (VhostUserSession::ChangeCid).
  virtual void OnCidTold() = 0;
  // A message of the front-end has been handled, or could not be done, which `status` tells for a person. False: the
  // next ones have to wait.
  virtual bool OnMessage(const absl::Status& status) = 0;

 protected:
  ~VhostUserDevice() = default;
};

// One vhost-user session: what a front-end has negotiated and set up, from its connect to its close.
//
//   rings, each:   unset --- NUM, ADDR, KICK, memory, enabled ---> running --- GET_VRING_BASE, disabled,
//                    ^                                                |        RESET_DEVICE, close
//                    +------------------------------------------------+
//
// A session may begin anywhere in the protocol: a front-end that outlived its back-end goes on where it was,
// without negotiating again. Features that were not acknowledged are taken as absent, protocol features that
// were not negotiated as present.
//
// Thread: the device's reactor.
class VhostUserSession final : public FdHandler {
 public:
  // Receive, transmit, event.
  static constexpr size_t kRings = 3;
  // A front-end that stops in the middle of a message is gone (hazard: it would keep the device for ever).
  static constexpr std::chrono::seconds kMessageTimeout{5};
  // Messages of one wake-up.
  static constexpr int kMessagesPerWakeup = 32;

  struct Options {
    uint32_t max_ring_size = 1024;
    uint32_t guest_cid = 0;
    // Offers CONFIGURE_MEM_SLOTS. A front-end that uses it does not send its memory again to a back-end that
    // was restarted, hence not by default.
    bool offer_mem_slots = false;
    // Offers VIRTIO_VSOCK_F_SEQPACKET (virtio 1.3, 5.10.3).
    bool offer_seqpacket = true;
    // Notified when the front-end has made a write to one of its eventfds wait (VmmEventFd::held).
    std::shared_ptr<Wakeup> on_held;
  };

  // `device` is not owned and outlives this. `ended` runs once, on the loop's thread, when the session is over;
  // it may destroy the session. An OK status: the front-end left in order.
  VhostUserSession(EventLoop& loop, VhostUserChannel channel, const Options& options, VhostUserDevice& device,
                   std::function<void(absl::Status)> ended);
  ~VhostUserSession();

  // Serves from now on, beginning with what has been received already.
  absl::Status Start();
  // Reads nothing between the two, unless the front-end leaves: what it sends waits in its socket.
  void Pause();
  void Resume();

  // FdHandler.
  void OnReady(uint32_t events) override;

  // From now on the configuration has another CID. True: the front-end is being told so, OnCidTold() follows unless it
  // sleeps, and a driver that reads the CID before may find the former one. False: it has no way of being told.
  bool ChangeCid(uint32_t cid);

  // Whether the front-end has closed its end.
  bool HungUp() const;

  // Tells the front-end that the rings are no longer served, if it gave descriptors for that.
  void SignalRingErrors();

  uint64_t features() const { return features_; }
  uint64_t protocol_features() const { return protocol_features_; }
  size_t memory_regions() const { return memory_ == nullptr ? 0 : memory_->regions(); }

 private:
  absl::Status Handle(VhostUserMessage& message, bool& go_on);
  absl::Status Dispatch(VhostUserMessage& message);

  absl::Status SetFeatures(const VhostUserMessage& message);
  absl::Status SetProtocolFeatures(const VhostUserMessage& message);
  absl::Status SetMemTable(VhostUserMessage& message);
  absl::Status AddMemReg(VhostUserMessage& message);
  absl::Status RemMemReg(const VhostUserMessage& message);
  absl::Status ReplaceMemory(std::shared_ptr<const GuestMemory> memory);
  absl::Status SetVringNum(const VhostUserMessage& message);
  absl::Status SetVringAddr(const VhostUserMessage& message);
  absl::Status SetVringBase(const VhostUserMessage& message);
  absl::Status GetVringBase(const VhostUserMessage& message);
  absl::Status SetVringKick(VhostUserMessage& message);
  absl::Status SetVringCall(VhostUserMessage& message);
  absl::Status SetVringErr(VhostUserMessage& message);
  absl::Status SetBackendReqFd(VhostUserMessage& message);
  absl::Status SetVringEnable(const VhostUserMessage& message);
  absl::Status GetConfig(const VhostUserMessage& message);
  absl::Status ResetDevice();
  absl::Status SetStatus(const VhostUserMessage& message);

  absl::StatusOr<RingSetup*> FindRing(const char* name, uint64_t index);
  absl::StatusOr<RingSetup*> TakeRingFd(const char* name, VhostUserMessage& message, UniqueFd& fd);
  std::shared_ptr<VmmEventFd> ToldBy(UniqueFd fd) const;
  absl::Status StartIfReady(RingSetup& ring);
  void StopRing(RingSetup& ring);
  uint64_t OfferedFeatures() const;
  uint64_t OfferedProtocolFeatures() const;
  void End(absl::Status status);

  EventLoop& loop_;
  VhostUserChannel channel_;
  Options options_;
  VhostUserDevice& device_;
  std::function<void(absl::Status)> ended_;
  bool watching_ = false;
  EventLoop::TimerId message_timer_{};
  bool message_timer_armed_ = false;

  uint64_t features_ = 0;
  uint64_t protocol_features_ = 0;
  uint64_t status_ = 0;
  std::shared_ptr<const GuestMemory> memory_;
  std::array<RingSetup, kRings> rings_;
  std::optional<BackendChannel> backend_channel_;  // none: the front-end gave none
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VHOST_USER_SESSION_H_
