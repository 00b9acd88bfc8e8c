// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_BENCH_GUEST_H_
#define KINSOCK_BENCH_BENCH_GUEST_H_

#include <linux/virtio_vsock.h>
#include <poll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "bench/fast_ring.h"
#include "tests/support/shared_memory.h"
#include "tests/support/vhost_user_front_end.h"
#include "tests/support/vring_driver.h"

namespace kinsock::bench {

// How a guest of a measurement is laid out. The defaults are those of Linux under QEMU.
struct BenchGuestOptions {
  uint16_t ring_entries = 128;
  uint32_t rx_buffer_bytes = 3776;  // header included
  uint32_t window = 256 * 1024;
  bool verify = false;              // writes a pattern, and checks every byte that comes
};

// A guest that speaks vsock as Linux does and neither writes nor reads payload, unless it verifies: what is
// measured is the back-end. One thread drives it with Poll().
class BenchGuest {
 public:
  // One connection. Plain state, driven by Poll().
  struct Connection {
    enum class State : uint8_t { kConnecting, kOpen, kReset };
    State state = State::kConnecting;
    uint32_t index = 0;
    uint64_t peer_cid = 0;
    uint32_t peer_port = 0;
    uint32_t local_port = 0;

    // Sending.
    uint64_t to_send = 0;      // bytes left
    uint32_t write_bytes = 0;  // of one send()
    uint32_t tx_cnt = 0;
    uint32_t peer_buf_alloc = 0;
    uint32_t peer_fwd_cnt = 0;
    uint64_t sent = 0;

    // Receiving.
    uint64_t received = 0;
    uint32_t fwd_cnt = 0;
    uint32_t advertised = 0;
    bool peer_shutdown = false;

    bool echoes = false;   // answers each packet with one of the same size
    bool listed = false;   // in the list of senders
    uint64_t mismatches = 0;
  };

  // Connects to the back-end at `socket` and starts the driver. Ends the process if that fails.
  BenchGuest(const std::string& socket, const BenchGuestOptions& options);
  BenchGuest(const BenchGuest&) = delete;
  BenchGuest& operator=(const BenchGuest&) = delete;

  uint64_t cid() const { return cid_; }

  // Begins a connection. The reference stays valid for the life of the guest.
  Connection& Connect(uint64_t cid, uint32_t port);
  // `bytes` go out in packets of `write_bytes`, as credit and ring allow.
  void Send(Connection& connection, uint64_t bytes, uint32_t write_bytes);
  void Close(Connection& connection);
  // Called for each connection that somebody else makes.
  std::function<void(Connection&)> on_accept;
  // Called for each packet of payload.
  std::function<void(Connection&, uint32_t bytes)> on_data;
  // Called when a connection that this guest began is open, or was reset.
  std::function<void(Connection&)> on_change;

  // While false, receive buffers that come back are not posted again.
  void set_posts_buffers(bool posts) { posts_buffers_ = posts; }

  // Does all there is to do. True if anything happened.
  bool Poll();
  // Asks for interrupts. False if there is something to do already.
  bool Sleepy();
  void AppendAwaited(std::vector<pollfd>& fds) const;

  // Payload received on all connections.
  uint64_t received() const { return received_; }
  uint64_t mismatches() const { return mismatches_; }
  size_t connections() const { return connections_.size(); }

  // For attacks: a packet with any header and no payload, sent as soon as there is room. False if there is none.
  bool SendRaw(const virtio_vsock_hdr& header);
  void Kick() { tx_->Kick(); }
  virtio_vsock_hdr Header(const Connection& connection, uint16_t op) const;

 private:
  struct Key {
    uint32_t local_port;
    uint64_t peer_cid;
    uint32_t peer_port;
    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.local_port, key.peer_cid, key.peer_port);
    }
  };

  void LayOutReceiveRing();
  void LayOutTransmitRing();
  bool PollReceive();
  bool PollTransmit();
  bool SendPayload();
  void Receive(const std::byte* buffer, uint32_t written);
  void OnPayload(Connection& connection, const std::byte* payload, uint32_t bytes);
  bool Put(virtio_vsock_hdr header, uint32_t bytes, uint64_t pattern_offset);
  void SendControl(Connection& connection, uint16_t op, uint32_t flags = 0);
  bool FlushControl();

  const BenchGuestOptions options_;
  testing::SharedMemory memory_;
  testing::Violations violations_;
  testing::VringDriver rx_ring_;
  testing::VringDriver tx_ring_;
  testing::VringDriver unused_ring_;
  std::unique_ptr<testing::VhostUserFrontEnd> front_end_;
  std::unique_ptr<FastRing> rx_;
  std::unique_ptr<FastRing> tx_;
  uint64_t cid_ = 0;

  std::vector<std::byte*> rx_buffers_;  // by head
  struct Slot {
    virtio_vsock_hdr* header;
    vring_desc* table;       // two entries: header, payload
    std::byte* payload;      // own, if the guest verifies; else shared
    uint64_t payload_gpa;
  };
  std::vector<Slot> tx_slots_;          // by head
  std::vector<uint16_t> free_slots_;

  std::vector<std::unique_ptr<Connection>> connections_;
  absl::flat_hash_map<Key, Connection*> by_key_;
  std::vector<Connection*> senders_;    // have something to send
  size_t next_sender_ = 0;
  std::vector<virtio_vsock_hdr> control_;  // waits for a slot
  uint32_t next_port_ = 1024;
  bool posts_buffers_ = true;
  uint64_t received_ = 0;
  uint64_t mismatches_ = 0;
};

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_BENCH_GUEST_H_
