// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_INTEGRATION_FRONT_END_ATTACKER_H_
#define KINSOCK_TESTS_INTEGRATION_FRONT_END_ATTACKER_H_

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {

inline constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

// What a hostile front-end works with: a session that went well so far, and memory and rings to lie about.
struct Attacker {
  explicit Attacker(VhostUserConnection connection)
      : front_end(std::move(connection), FrontEndOptions()),
        memory(SharedMemory::AroundVgaHole(4u << 20)),
        rx(memory, 128, "receive", violations),
        tx(memory, 128, "transmit", violations) {}

  VhostUserConnection& wire() { return front_end.connection(); }
  absl::Status Send(uint32_t request, std::span<const std::byte> payload, std::vector<int> fds = {}) {
    return wire().Send(request, payload, fds);
  }
  // A table with whatever the caller wants in its rows.
  absl::Status SendTable(uint32_t count, std::vector<VhostUserRegion> rows, std::vector<int> fds) {
    VhostUserMemoryTable table;
    table.regions = count;
    for (size_t i = 0; i < rows.size(); ++i) table.region[i] = rows[i];
    return Send(VHOST_USER_SET_MEM_TABLE, AsBytes(table).first(8 + 32 * rows.size()), std::move(fds));
  }
  absl::Status DriverOk() {
    VringDriver* rings[] = {&rx, &tx};
    const uint16_t bases[] = {0, 0};
    return front_end.DriverOk(memory, rings, bases, Bit(VIRTIO_F_VERSION_1));
  }
  vhost_vring_addr TxAddress() const { return VhostUserFrontEnd::AddressOf(memory, 1, tx); }

  VhostUserFrontEnd front_end;
  Violations violations;
  SharedMemory memory;
  VringDriver rx;
  VringDriver tx;
};

class HostileFrontEndTest : public SwitchTest {
 protected:
  explicit HostileFrontEndTest(Backend::VmOptions options = {}) { AddVm(Cid(3), std::move(options)); }

  Attacker NewAttacker() {
    absl::StatusOr<VhostUserConnection> wire = VhostUserConnection::Open(vm(3).vhost_user_socket);
    EXPECT_TRUE(wire.ok()) << wire.status();
    return Attacker(*std::move(wire));
  }

  // The VM's socket serves a decent front-end, and its guest talks to its neighbour.
  void ExpectServed() {
    SimulatedGuest& guest = NewGuest();
    const absl::Status status = guest.PowerOn(vm(3).vhost_user_socket);
    ASSERT_TRUE(status.ok()) << status;
    SimulatedGuest& neighbour = Boot(Cid(4));
    Pair pair = Connect(guest, neighbour);
    pair.client.Send("still here");
    RunUntil([&] { return pair.server.Received() == "still here"; });
    guest.Kill();
  }
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_INTEGRATION_FRONT_END_ATTACKER_H_
