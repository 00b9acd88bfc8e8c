// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_SIMULATED_GUEST_H_
#define KINSOCK_TESTS_SUPPORT_SIMULATED_GUEST_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/support/guest_connection.h"
#include "tests/support/guest_options.h"
#include "tests/support/stage.h"
#include "tests/support/stream.h"
#include "tests/support/virtual_machine.h"

namespace kinsock::testing {

using Port = uint32_t;

// A guest with a vsock driver and socket layer as Linux has them, on a simulated machine. It believes nothing: every
// packet it receives is checked against the specification and its own state, and what is wrong goes to violations().
// One thread: that of its stage.
class SimulatedGuest final : public Actor {
 public:
  // `stage` outlives the guest.
  SimulatedGuest(Stage& stage, GuestOptions options = {});
  ~SimulatedGuest();

  // The machine's life; see VirtualMachine. What the guest had open is gone after Reset() and Kill().
  absl::Status PowerOn(const std::string& vhost_user_socket);
  absl::Status Reset();
  absl::Status StopDriver();
  absl::Status Suspend() { return machine_.Suspend(); }
  absl::Status Resume() { return machine_.Resume(); }
  void Kill();
  VirtualMachine& machine() { return machine_; }
  uint64_t cid() const { return machine_.cid(); }

  // Programs in the guest. Connect() returns at once; a failed one shows as closed() and was_reset().
  // `type`: VIRTIO_VSOCK_TYPE_*. Who listens already keeps the type he has.
  Stream Connect(uint64_t cid, Port port, uint16_t type = VIRTIO_VSOCK_TYPE_STREAM);
  void Listen(Port port, uint16_t type = VIRTIO_VSOCK_TYPE_STREAM) { listening_.emplace(port, type); }
  std::optional<Stream> TryAccept(Port port);
  // Listens, and runs the stage until somebody has connected; ends the test if nobody does.
  Stream Accept(Port port);

  // From now on packets for local port `port` go to captured() and the guest does not react to them.
  void Capture(Port port) { capturing_.insert(port); }
  std::deque<VsockPacket>& captured() { return captured_; }
  // Any packet, whatever it says.
  void SendRaw(VsockPacket packet) { machine_.tx().Queue(std::move(packet)); }
  // One from this guest's `src_port` that is right but for what the caller changes.
  VsockPacket Packet(uint16_t op, Port src_port, uint64_t dst_cid, Port dst_port) const;

  // Receive buffers are posted, or not.
  void StopPosting() { machine_.rx().set_posting(false); }
  void ResumePosting();
  // The vCPUs do not run: nothing is taken out of the rings and nothing is put in.
  void set_frozen(bool frozen) { frozen_ = frozen; }

  // What was received since the guest was made: how many of an operation, and how many in all.
  uint64_t received(uint16_t op) const { return op < received_.size() ? received_[op] : 0; }
  uint64_t received_packets() const;
  // Packets that belonged to nothing here, RST and others.
  const std::deque<VsockPacket>& strays() const { return strays_; }
  size_t open_connections() const { return connections_.size(); }
  Violations& violations() { return machine_.violations(); }

  bool Poll() override;
  void AppendAwaited(std::vector<pollfd>& fds) const override;
  std::string Describe() const override;

 private:
  static constexpr size_t kKeptStrays = 1000;
  // Where the guest's own connections begin, as in Linux.
  static constexpr Port kFirstEphemeralPort = 1024;

  bool ServiceTx();
  bool ServiceRx();
  bool ServiceConnections();
  bool ServiceEvents();
  void Dispatch(const VsockPacket& packet);
  void CheckHeader(const VsockPacket& packet);
  bool Listens(Port port, uint16_t type) const {
    const auto found = listening_.find(port);
    return found != listening_.end() && found->second == type;
  }
  void AcceptRequest(const VsockPacket& request);
  void AnswerStray(const VsockPacket& packet);
  std::shared_ptr<GuestConnection> NewConnection(const GuestConnection::Key& key, uint16_t type);
  void AbandonConnections();

  Stage& stage_;
  VirtualMachine machine_;
  std::map<GuestConnection::Key, std::shared_ptr<GuestConnection>> connections_;
  GuestConnection::Key last_served_;
  std::map<Port, uint16_t> listening_;  // with the type
  std::map<Port, std::deque<Stream>> accepted_;
  std::set<Port> capturing_;
  std::deque<VsockPacket> captured_;
  std::deque<VsockPacket> strays_;
  std::array<uint64_t, 8> received_{};
  Port next_port_ = kFirstEphemeralPort;
  bool frozen_ = false;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_SIMULATED_GUEST_H_
