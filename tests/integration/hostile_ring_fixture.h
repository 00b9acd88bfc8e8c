// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_INTEGRATION_HOSTILE_RING_FIXTURE_H_
#define KINSOCK_TESTS_INTEGRATION_HOSTILE_RING_FIXTURE_H_

#include <optional>
#include <string>

#include "tests/support/switch_test.h"

namespace kinsock::testing {

// The hostile guest's side of the connections it makes up.
inline constexpr Port kRaw = 5000;
inline constexpr uint32_t kHeader = sizeof(virtio_vsock_hdr);

// A hostile guest (3), the sibling it aims at (4), and that one's neighbour (5).
class HostileRingTest : public SwitchTest {
 protected:
  void SetUp() override {
    hostile_ = &Boot(Cid(3));
    sibling_ = &Boot(Cid(4));
    neighbour_ = &Boot(Cid(5));
    IgnoreViolationsOf(*hostile_);
    hostile_->Capture(kRaw);
    sibling_->Listen(Port(80));
    page_ = memory().Allocate(16 * 4096);
    RunUntilIdle();
  }

  SharedMemory& memory() { return hostile_->machine().memory(); }
  VringDriver& tx() { return hostile_->machine().tx().ring(); }
  VringDriver& rx() { return hostile_->machine().rx().ring(); }

  // A packet to the sibling in memory at `gpa`, its payload behind the header.
  void WritePacket(uint64_t gpa, uint16_t op, const std::string& payload = "",
                   std::optional<uint32_t> claimed = std::nullopt) {
    VsockPacket packet = hostile_->Packet(op, kRaw, 4, Port(80));
    packet.payload = payload;
    packet.len = claimed;
    const virtio_vsock_hdr header = packet.Header();
    memory().Write(gpa, &header, sizeof(header));
    memory().Write(gpa + kHeader, payload.data(), payload.size());
  }

  void Submit(const ChainBuilder& chain) {
    ASSERT_TRUE(tx().Add(chain).has_value());
    tx().Publish();
    tx().Kick();
  }

  bool Fenced() {
    return hostile_->machine().front_end().connection().closed() || !backend().Status(vm(3)).last_error.empty();
  }

  // Until the device has returned everything or given the VM up.
  void AwaitReturnOrFence() {
    RunUntil([&] { return tx().outstanding() == 0 || Fenced(); });
  }

  // Nobody else was touched, and the VM can be used again.
  void ExpectNeighboursUnharmed() {
    Pair pair = Connect(*sibling_, *neighbour_, Port(90));
    pair.server.ExpectPattern(1);
    pair.client.SendPattern(1, 100'000);
    RunUntil([&] { return pair.server.received_bytes() >= 100'000; });
    EXPECT_EQ(pair.server.Verdict(100'000), "exact");

    hostile_->Kill();
    RunUntilIdle();
    SimulatedGuest& reborn = NewGuest();
    ASSERT_TRUE(reborn.PowerOn(vm(3).vhost_user_socket).ok());
    Connect(reborn, *neighbour_, Port(91));
  }

  SimulatedGuest* hostile_ = nullptr;
  SimulatedGuest* sibling_ = nullptr;
  SimulatedGuest* neighbour_ = nullptr;
  uint64_t page_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_INTEGRATION_HOSTILE_RING_FIXTURE_H_
