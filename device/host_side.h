// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_SIDE_H_
#define KINSOCK_DEVICE_HOST_SIDE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/device_stats.h"
#include "device/dial.h"
#include "device/forward.h"
#include "device/guest_readiness.h"
#include "device/host_address.h"
#include "device/host_message_socket.h"
#include "device/host_ports.h"
#include "device/host_socket.h"
#include "device/vsock_rx.h"
#include "router/flow_journal.h"
#include "router/port.h"
#include "router/route_table.h"

namespace kinsock {

// The host as one guest sees it (CID 2): its programs, behind AF_UNIX or AF_VSOCK sockets (host_address.h). A
// guest's REQUEST connects to the address of its port, as a stream or, for type SEQPACKET, with messages; host programs
// come in through Connect() (hybrid_listener.h, forward_listener.h). A forward (forward.h) may stand in for a port.
//
// Thread: the device's reactor, the methods of Port included.
class HostSide final : public Port {
 public:
  // What a host side works with; what is a reference is not owned and outlives it.
  struct Environment {
    EventLoop& loop;
    const RouteTable& routes;  // of the guest's network
    VsockRx* rx;               // of the guest
    DeviceStats& stats;
    std::shared_ptr<PortStats> port_stats;
    const DeviceLimits& limits;
    FlowJournal& journal;
    HostAddress address;
    GuestReadiness& readiness;
    uint32_t window;  // bytes granted to the guest on each connection
  };

  // Time for the guest to answer a host program's request, for an AF_VSOCK connect() of the host to come to an
  // end, and for a host program's backlog to have room.
  // Firecracker's and Linux' own; then the connection is refused (CONNECT_TIMEOUT, NO_LISTENER).
  static constexpr std::chrono::milliseconds kConnectTimeout{2000};
  static constexpr std::chrono::milliseconds kBusyRetry{20};
  static constexpr std::chrono::milliseconds kBusyTimeout{500};

  HostSide(DeviceId device, Environment environment);
  ~HostSide() override;

  // Port.
  Progress Deliver(Lane& lane, uint32_t budget) override;
  void AskForCredit(const std::shared_ptr<Flow>&) override {}  // a host end says by itself what it has read
  void ResetFlow(const std::shared_ptr<Flow>& flow) override;

  // Takes a host program that wants `guest_port`. On AF_UNIX it gets "OK <port>\n" when the guest accepts; end of
  // file otherwise.
  void Connect(UniqueFd socket, uint32_t guest_port) { Connect(std::move(socket), guest_port, nullptr, nullptr); }
  // Takes one that has come through a forward of direction kToGuest.
  void Connect(UniqueFd socket, const std::shared_ptr<Forward>& via);
  // Takes the daemon's end of `dial`: one of a pair of AF_UNIX stream sockets, non-blocking.
  void Connect(UniqueFd socket, const std::shared_ptr<Dial>& dial) {
    Connect(std::move(socket), dial->guest_port(), nullptr, dial);
  }

  // From now on the guest's calls to the forward's port go where it leads, or no longer.
  void AddForward(const std::shared_ptr<Forward>& forward);
  void RemoveForward(const Forward& forward);
  // Resets the connections that go through it.
  void ResetThrough(const Forward& forward);

  // The guest has another address. Of its connections none is left.
  void SetRx(VsockRx& rx) { env_.rx = &rx; }

  // Closes all sockets, at once. The owner calls it before it lets go.
  void Close();

  // Adds what waits for the host end of `info`, if it has one.
  void Describe(FlowInfo& info) const;

  // --- For HostSocket. ---

  const Environment& env() const { return env_; }
  VsockRx& rx() const { return *env_.rx; }
  // Notified when the guest posts buffers; sockets that wait say AwaitBuffers().
  const std::shared_ptr<Wakeup>& resume() const { return resume_; }
  void AwaitBuffers(HostSocket& socket) { starved_.push_back(&socket); }
  // Ends the flow and resets the guest. The socket is gone when the present event has been handled.
  void End(HostSocket& socket, CloseReason reason);
  // The kernel has finished connect() on `socket` with `error` (errno; 0: it is connected).
  void OnConnectOutcome(HostSocket& socket, int error);
  // A lingering socket has nothing more to do.
  void Finished(HostSocket& socket);
  // The connection is made, or is not: its timer is of no use any more.
  void CancelTimer(HostSocket& socket);

 private:
  using Key = std::pair<uint32_t, uint32_t>;  // guest port, host port

  void Take(Packet& packet);
  void TakeRequest(Packet& packet);
  void TakeStray(Packet& packet);
  void EndFor(Packet& packet, HostSocket& socket, CloseReason reason);
  void TakeAccepted(HostSocket& socket, Packet& packet);
  uint32_t TakePort(uint32_t wanted);
  void Connect(UniqueFd socket, uint32_t guest_port, const std::shared_ptr<Forward>& via,
               const std::shared_ptr<Dial>& dial);
  std::shared_ptr<Forward> ForwardOf(uint32_t host_port) const;
  HostConnection Reach(uint32_t port, uint16_t type, const Forward* via);
  void CountRefused(uint32_t guest_port, CloseReason reason, Forward* via);
  void CountRefused(CloseReason reason, Forward* via);
  std::shared_ptr<const Policy> DeniedBy(uint32_t guest_port, CloseReason reason) const;
  void StartConnectTimer(HostSocket& socket);
  void Continue(HostSocket& socket, HostConnection connection);
  HostSocket* Find(uint32_t guest_port, uint32_t host_port) const;
  HostSocket& Add(std::shared_ptr<Flow> flow, Flow::Side host_end, UniqueFd socket, std::shared_ptr<Forward> via);
  void Discard(HostSocket& socket);
  void RetryConnect(HostSocket& socket, MonotonicTime deadline);
  void OnBuffers();

  Environment env_;
  std::shared_ptr<Wakeup> resume_;
  std::shared_ptr<Wakeup> reap_;
  HostPorts ports_;
  absl::flat_hash_map<uint32_t, std::shared_ptr<Forward>> forwards_;  // kFromGuest, by the port that the guest calls
  absl::flat_hash_map<Key, std::unique_ptr<HostSocket>> sockets_;
  absl::flat_hash_map<HostSocket*, std::unique_ptr<HostSocket>> lingering_;
  std::vector<HostSocket*> starved_;
  std::vector<std::unique_ptr<HostSocket>> dead_;  // until the event that ended them has been handled
  HostSocket* gathering_ = nullptr;                // has payload of the present batch
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_SIDE_H_
