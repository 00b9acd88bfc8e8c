// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_RECEIVE_RING_H_
#define KINSOCK_DEVICE_RECEIVE_RING_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "base/scatter_list.h"
#include "capture/point.h"
#include "device/device_stats.h"
#include "device/virtqueue.h"
#include "device/vmm_event_fd.h"
#include "router/vsock_header.h"

namespace kinsock {

// Packets into the buffers that a guest has posted on its receive queue (virtio 1.3, 5.10.6.4): a header in
// front of each piece, a packet split over as many buffers as it needs. Payload of one stream, or of one message,
// that comes in one batch is packed: the next packet goes on in the buffer that the last one left half full, which
// saves a guest that is sent many small packets most of its work. Messages do not share a buffer: what ends one is
// the buffer that says so. Nothing is seen by the guest before Show() or Flush(). Not
// thread-safe: guarded by the lock of the receive side.
class ReceiveRing {
 public:
  // What became of an attempt to read from a descriptor.
  struct ReadResult {
    enum class Status : uint8_t { kOk, kEndOfFile, kWouldBlock, kNoBuffers, kTooLarge, kError };
    Status status;
    uint32_t bytes = 0;         // kOk: read, and on their way to the guest
    uint32_t packets = 0;       // kOk: in so many packets
    bool ends_message = false;  // kOk, ReadMessage(): these are the last ones of it
  };

  // `call`: the eventfd that interrupts the driver; null: it polls. `stats` is not owned and outlives this. `point`:
  // where captures see what the guest is given.
  ReceiveRing(Virtqueue queue, std::shared_ptr<VmmEventFd> call, DeviceStats& stats, CapturePoint point);

  // Puts `header` and as much of `payload` from `offset` as fits into a buffer, and returns how much that was;
  // the packet's length is set to it. Nothing if there is no buffer, or the ring is broken.
  std::optional<uint32_t> Put(VsockHeader header, const ScatterList& payload, uint32_t offset);

  // Reads up to `limit` bytes from the non-blocking socket `fd`, straight into buffers, with `header` in front
  // of each piece. One system call.
  ReadResult ReadFrom(int fd, const VsockHeader& header, uint32_t limit);

  // The same for the next message of a SOCK_SEQPACKET socket (message_socket.h), or as much of it as fits into `limit`
  // and the buffers: what is left of it comes with the next call. kTooLarge: more than `largest` is left; nothing was
  // put. An empty message takes a buffer.
  ReadResult ReadMessage(int fd, const VsockHeader& header, uint32_t limit, uint32_t largest);

  // Shows the guest the buffers that are full, for the case that it is looking; Flush() is still owed.
  void Show() { queue_.Show(); }
  // Shows the guest what was put, with one interrupt if it wants one.
  void Flush();

  // How many buffers were ever taken, modulo 2^32: whether Put() has begun a new one.
  uint32_t taken() const { return taken_; }

  // Asks for a kick when buffers are posted. True if there are some already.
  bool AwaitBuffers() { return !broken_ && queue_.EnableKicks(); }

  // The same without asking.
  bool HasBuffers() { return !broken_ && queue_.HasAvailable(); }
  // Whether there are enough for a batch that is worth its interrupt: a quarter of the ring.
  bool HasManyBuffers() { return !broken_ && queue_.Available() >= (queue_.size() + 3) / 4; }

  void SetCall(std::shared_ptr<VmmEventFd> call) { call_ = std::move(call); }
  absl::Status Relocate(std::shared_ptr<const GuestMemory> memory) { return queue_.Relocate(std::move(memory)); }

  uint32_t size() const { return queue_.size(); }
  // Complete only after Flush().
  uint16_t next_avail() const { return queue_.next_avail(); }
  // The ring made no sense, or its memory went away: nothing is delivered any more.
  bool broken() const { return broken_ || queue_.memory().faulted(); }
  std::shared_ptr<const GuestMemory> shared_memory() const { return queue_.shared_memory(); }

 private:
  bool PopBuffer(DescriptorChain& chain, bool stop_at_unusable);
  bool ContinuesOpenBuffer(const VsockHeader& header) const;
  uint32_t Fill(const ScatterList& payload, uint32_t offset);
  void SealOpenBuffer();
  struct ReadBuffers;
  void PopForRead(uint32_t limit, ReadBuffers& buffers);
  uint32_t ReturnAfterRead(const VsockHeader& header, size_t bytes, bool ends_message, ReadBuffers& buffers);

  Virtqueue queue_;
  std::shared_ptr<VmmEventFd> call_;
  DeviceStats& stats_;
  const CapturePoint point_;
  bool broken_ = false;
  uint32_t taken_ = 0;

  // The buffer that payload may still be added to. Its header is written when it is sealed.
  DescriptorChain open_;
  VsockHeader open_header_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_RECEIVE_RING_H_
