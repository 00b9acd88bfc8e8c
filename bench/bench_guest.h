// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_BENCH_GUEST_H_
#define KINSOCK_BENCH_BENCH_GUEST_H_

#include <linux/virtio_vsock.h>
#include <poll.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "bench/fast_ring.h"
#include "tests/e2e/guest/pattern.h"
#include "tests/support/shared_memory.h"
#include "tests/support/vhost_user_front_end.h"
#include "tests/support/vring_driver.h"

namespace kinsock::bench {

// How a guest of a measurement is laid out. The defaults are those of Linux under QEMU.
struct BenchGuestOptions {
  uint16_t ring_entries = 128;
  uint32_t rx_buffer_bytes = 3776;  // header included
  uint32_t window = 256 * 1024;
  bool verify = false;        // writes a pattern, and checks every byte that comes
  bool mixed_writes = false;  // the bytes of each write vary from 1 to those asked for
  bool reads = true;          // false: takes its packets and never frees the room that it advertised
};

// Names the bytes of one direction of a connection; both ends can work it out. What comes from the host (CID 2) is
// told apart by the guest's port alone: back-ends differ in the port that they name to the host's program.
uint32_t StreamSeed(uint64_t src_cid, uint32_t src_port, uint32_t dst_port);

// A guest that speaks vsock as Linux does and neither writes nor reads payload, unless it verifies: what is
// measured is the back-end. One thread drives it with Poll().
class BenchGuest {
 public:
  // One connection. Plain state, driven by Poll().
  struct Connection {
    enum class State : uint8_t { kConnecting, kOpen, kReset };
    State state = State::kConnecting;
    bool was_open = false;
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
    std::unique_ptr<guest::PatternChecker> checker;  // if the guest verifies

    bool echoes = false;  // answers each packet with one of the same size
    bool listed = false;  // in the list of senders
  };

  // Connects to the back-end at `socket` and starts the driver. Ends the process if that fails.
  BenchGuest(const std::string& socket, const BenchGuestOptions& options);
  BenchGuest(const BenchGuest&) = delete;
  BenchGuest& operator=(const BenchGuest&) = delete;

  uint64_t cid() const { return cid_; }
  // From connecting to the back-end until it has answered a request behind the start of the driver.
  std::chrono::nanoseconds attach_time() const { return attach_time_; }

  // Begins a connection. The reference stays valid for the life of the guest.
  Connection& Connect(uint64_t cid, uint32_t port);
  // `bytes` go out in packets of `write_bytes`, as credit and ring allow.
  void Send(Connection& connection, uint64_t bytes, uint32_t write_bytes);
  // Nothing more goes out than what is in the ring.
  void StopSending();
  void Close(Connection& connection);
  // Accepts connections to `port`, and calls `on_accept` for each. Other ports answer with a reset.
  void Listen(uint32_t port, std::function<void(Connection&)> on_accept) { listeners_[port] = std::move(on_accept); }
  // Called for each packet of payload.
  std::function<void(Connection&, uint32_t bytes)> on_data;
  // Called when a connection that this guest began is open, or is no more.
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
  // The connection that somebody began from there. Null if there is none.
  const Connection* Find(uint32_t local_port, uint64_t peer_cid, uint32_t peer_port) const;

  // For attacks. A packet with any header and no payload; false if the ring has no room.
  bool SendRaw(const virtio_vsock_hdr& header) { return Put(header, 0, nullptr); }
  // A chain of these descriptors, in an indirect table unless there is only one; as SendRaw().
  struct RawChain {
    vring_desc head;           // `addr` 0: the slot's own table, or header if the chain is direct
    vring_desc table[2] = {};  // `addr` 0: the slot's own header, or payload
    virtio_vsock_hdr header{};
  };
  bool SendChain(const RawChain& chain);
  bool ring_is_full() const { return free_slots_.empty(); }
  void Kick() { tx_->Kick(); }
  virtio_vsock_hdr Header(const Connection& connection, uint16_t op) const;
  testing::VhostUserFrontEnd& front_end() { return *front_end_; }
  int transmit_call_fd() const { return tx_->call_fd(); }

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
  void Attach(const std::string& socket);
  bool PollReceive();
  bool PollTransmit();
  void List(Connection& connection);
  bool SendPayload();
  void Receive(const std::byte* buffer, uint32_t written);
  void Accept(const Key& key, const virtio_vsock_hdr& request);
  void Refuse(const virtio_vsock_hdr& packet);
  void OnPayload(Connection& connection, const std::byte* payload, uint32_t bytes);
  void End(Connection& connection, const Key& key);
  uint32_t NextWrite(const Connection& connection);
  bool Put(virtio_vsock_hdr header, uint32_t bytes, const Connection* stream);
  void SendControl(Connection& connection, uint16_t op, uint32_t flags = 0);
  void Queue(const virtio_vsock_hdr& header);
  bool FlushControl();

  const BenchGuestOptions options_;
  testing::SharedMemory memory_;
  testing::Violations violations_;
  testing::VringDriver rx_ring_;
  testing::VringDriver tx_ring_;
  std::unique_ptr<testing::VhostUserFrontEnd> front_end_;
  std::unique_ptr<FastRing> rx_;
  std::unique_ptr<FastRing> tx_;
  uint64_t cid_ = 0;
  std::chrono::nanoseconds attach_time_{0};

  std::vector<std::byte*> rx_buffers_;  // by head
  struct Slot {
    virtio_vsock_hdr* header;
    vring_desc* table;   // two entries: header, payload
    std::byte* payload;  // own, if the guest verifies; else shared
    uint64_t header_gpa;
    uint64_t table_gpa;
    uint64_t payload_gpa;
  };
  std::vector<Slot> tx_slots_;  // by head
  std::vector<uint16_t> free_slots_;

  std::vector<std::unique_ptr<Connection>> connections_;
  absl::flat_hash_map<Key, Connection*> by_key_;
  std::vector<Connection*> senders_;  // have something to send, and may
  size_t next_sender_ = 0;
  std::deque<virtio_vsock_hdr> control_;  // waits for a slot
  absl::flat_hash_map<uint32_t, std::function<void(Connection&)>> listeners_;
  uint64_t random_ = 88172645463325252;  // of mixed writes
  uint32_t next_port_ = 1024;
  bool posts_buffers_ = true;
  uint64_t received_ = 0;
};

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_BENCH_GUEST_H_
