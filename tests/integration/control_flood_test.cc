// SPDX-License-Identifier: Apache-2.0
//
// A guest or a VMM that says much which moves nothing is left alone for moments, and goes on afterwards. Who has to
// answer it is not, nor is anybody whose traffic is merely busy (device/control_allowance.h).
#include <algorithm>
#include <functional>
#include <string>

#include "device/control_allowance.h"
#include "tests/integration/front_end_attacker.h"

namespace kinsock::testing {
namespace {

constexpr Port kRaw = 5000;       // the flooding guest's side of what it makes up
constexpr int64_t kFlood = 2500;  // in what it costs

// Enough for a boot, and little enough to be spent by guests that are simulated on a slow machine.
Backend::VmOptions Strict() {
  Backend::VmOptions options;
  options.limits.control_per_second = 1000;
  options.limits.control_burst = 1000;
  return options;
}

class ControlFloodTest : public SwitchTest {
 protected:
  SimulatedGuest& flooder_ = Boot(Cid(3), {}, Strict());
  SimulatedGuest& victim_ = Boot(Cid(4), {}, Strict());

  // Sends packets that cost that much each until it is a flood, and waits until all were looked at.
  void Flood(const std::function<VsockPacket(uint64_t)>& next, int64_t cost = ControlAllowance::kPacket) {
    const auto packets = static_cast<uint64_t>(kFlood / cost);
    IgnoreViolationsOf(flooder_);
    flooder_.Capture(kRaw);
    const uint64_t before = stats(3).from_guest_packets;
    for (uint64_t i = 0; i < packets; ++i) flooder_.SendRaw(next(i));
    RunUntil([&] { return stats(3).from_guest_packets - before >= packets; });
  }

  void ExpectOnlyTheFlooderWasLimited() {
    RunUntil([&] { return stats(3).from_guest_limited_control > 0; });
    RunUntil([&] { return std::ranges::any_of(backend().History(vm(3)), &DeviceStatus::flooding); });
    EXPECT_FALSE(backend().Status(vm(4)).flooding);
    EXPECT_EQ(stats(4).from_guest_limited_control, 0u);
    Connect(flooder_, victim_, Port(81));
  }
};

TEST_F(ControlFloodTest, ForgedSources) {
  Flood([&](uint64_t) {
    VsockPacket packet = flooder_.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, victim_.cid(), Port(80));
    packet.src_cid = 99;
    return packet;
  });
  ExpectOnlyTheFlooderWasLimited();
}

TEST_F(ControlFloodTest, Resets) {
  Flood([&](uint64_t) { return flooder_.Packet(VIRTIO_VSOCK_OP_RST, kRaw, victim_.cid(), Port(80)); });
  ExpectOnlyTheFlooderWasLimited();
}

TEST_F(ControlFloodTest, PacketsOfNoConnection) {
  Flood([&](uint64_t) { return flooder_.Packet(VIRTIO_VSOCK_OP_RW, kRaw, victim_.cid(), Port(80)); });
  ExpectOnlyTheFlooderWasLimited();
}

// The victim has to refuse each of them.
TEST_F(ControlFloodTest, RequestsToAClosedPort) {
  Flood(
      [&](uint64_t i) { return flooder_.Packet(VIRTIO_VSOCK_OP_REQUEST, Port(10'000 + i), victim_.cid(), Port(82)); });
  ExpectOnlyTheFlooderWasLimited();
}

// The victim has to answer each of them.
TEST_F(ControlFloodTest, CreditRequests) {
  auto [client, server] = Connect(flooder_, victim_);
  Flood(
      [&, port = client.local_port()](uint64_t) {
        VsockPacket packet = flooder_.Packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST, port, victim_.cid(), Port(80));
        packet.buf_alloc = 65536;
        return packet;
      },
      ControlAllowance::kCreditRequest);
  // While the victim had no buffers, one that waited stood for those behind it.
  EXPECT_GT(victim_.received(VIRTIO_VSOCK_OP_CREDIT_REQUEST), 0u);
  ExpectOnlyTheFlooderWasLimited();
}

TEST_F(ControlFloodTest, ABusyGuestIsNeverLimited) {
  constexpr int kConnections = 2000;
  for (int i = 0; i < kConnections; ++i) {
    auto [client, server] = Connect(flooder_, victim_);
    client.Send("ask");
    RunUntil([s = server] { return s.received_bytes() == 3; });
    server.Send("tell");
    RunUntil([c = client] { return c.received_bytes() == 4; });
    client.Close();
    server.Close();
  }
  AwaitNoFlows();
  EXPECT_EQ(stats(3).from_guest_limited_control, 0u);
  EXPECT_EQ(stats(4).from_guest_limited_control, 0u);
}

class MessageFloodTest : public HostileFrontEndTest {
 protected:
  MessageFloodTest() : HostileFrontEndTest(Strict()) {}
};

TEST_F(MessageFloodTest, EveryMessageIsAnsweredAfterAll) {
  Attacker attacker = NewAttacker();
  const VhostUserHeader header{VHOST_USER_GET_FEATURES, kVhostUserVersion, 0};
  constexpr int kAtOnce = 100;
  std::string many;
  for (int i = 0; i < kAtOnce; ++i) many.append(reinterpret_cast<const char*>(&header), sizeof(header));
  for (uint32_t sent = 0; sent * ControlAllowance::kMessage < 8 * Strict().limits.control_burst; sent += kAtOnce) {
    ASSERT_TRUE(attacker.wire().SendBytes(AsBytes(many)).ok());
    for (int i = 0; i < kAtOnce; ++i) ASSERT_TRUE(attacker.wire().Receive().ok()) << i;
  }
  EXPECT_GT(stats(3).from_guest_limited_control, 0u);
}

}  // namespace
}  // namespace kinsock::testing
