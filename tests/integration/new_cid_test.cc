// SPDX-License-Identifier: Apache-2.0
//
// A VM gets another CID while its guest runs: under VMMs that hand the event queue over and under those that do not,
// and with drivers that learn of it, learn of it late, or never do.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "device/vsock_device.h"
#include "tests/integration/hybrid_fixture.h"
#include "tests/support/simulated_clock.h"

namespace kinsock::testing {
namespace {

using ::testing::Each;
using ::testing::Field;

constexpr uint64_t kHost = 2;

class NewCidTest : public HybridTest {
 protected:
  explicit NewCidTest(const Clock& clock = Clock::Monotonic()) : HybridTest(clock) {}

  // Under a VMM that hands all queues over.
  static GuestOptions Modern() {
    GuestOptions options;
    options.queues = 3;
    options.takes_events = true;
    return options;
  }
  void ChangeCid(Cid first, Cid to) { backend().ChangeCid(vm(first), to); }
  Cid DriverCid(Cid first) { return backend().Status(vm(first)).driver_cid; }
  void AwaitDriverCid(Cid first, Cid cid) {
    RunUntil([&] { return DriverCid(first) == cid; });
  }
  // A connection that is to be made, or to be refused.
  void ExpectReached(SimulatedGuest& from, uint64_t cid, SimulatedGuest& to) {
    to.Listen(Port(90));
    Stream stream = from.Connect(cid, Port(90));
    RunUntil([&] { return stream.established(); });
    stream.Close();
    RunUntil([&] { return stream.closed(); });
  }
  void ExpectRefused(SimulatedGuest& from, uint64_t cid) {
    Stream stream = from.Connect(cid, Port(90));
    RunUntil([&] { return stream.closed(); });
    EXPECT_TRUE(stream.was_reset());
  }
};

// Time passes only when the tests say so.
struct TestClock {
  SimulatedClock clock;
};

class SlowVmmTest : private TestClock, public NewCidTest {
 protected:
  SlowVmmTest() : NewCidTest(TestClock::clock) {}

  // Its main loop is busy with something else.
  static GuestOptions Busy() {
    GuestOptions options = Modern();
    options.front_end.serves_back_channel = false;
    return options;
  }
  void Pass(std::chrono::nanoseconds time) {
    TestClock::clock.Advance(time);
    RunUntilIdle();
  }
};

TEST_F(NewCidTest, ADriverThatIsToldIsThereAtOnce) {
  SimulatedGuest& moves = Boot(3, Modern());
  SimulatedGuest& stays = Boot(4);
  Pair to_it = Connect(stays, moves, Port(80));
  Pair from_it = Connect(moves, stays, Port(81));
  HybridClient program(stage(), uds_path(3));
  program.Connect(80);
  RunUntil([&] { return program.ok_port().has_value(); });

  ChangeCid(3, 7);
  RunUntil([&] { return to_it.client.closed() && from_it.server.closed() && program.at_eof(); });
  EXPECT_TRUE(to_it.client.was_reset());
  EXPECT_TRUE(from_it.server.was_reset());
  AwaitDriverCid(3, 7);
  EXPECT_EQ(moves.cid(), 7u);
  EXPECT_EQ(stats(3).transport_resets, 1u);
  AwaitNoFlows();
  EXPECT_THAT(backend().ClosedFlows(), Each(Field(&FlowInfo::close_reason, CloseReason::kTransportReset)));

  ExpectRefused(stays, 3);
  ExpectReached(stays, 7, moves);
  ExpectReached(moves, 4, stays);
  HybridClient again(stage(), uds_path(3));
  again.Connect(90);
  RunUntil([&] { return again.ok_port().has_value(); });
  EXPECT_EQ(stats(3).from_guest_former_cid, 0u);
}

TEST_F(NewCidTest, ADriverThatIsNotToldReachesNobodyUntilItIsLoadedAnew) {
  SimulatedGuest& moves = Boot(3);  // under QEMU: no event queue
  SimulatedGuest& stays = Boot(4);
  Pair to_it = Connect(stays, moves, Port(80));
  Pair from_it = Connect(moves, stays, Port(81));
  ChangeCid(3, 7);
  RunUntil([&] { return to_it.client.closed() && from_it.server.closed(); });
  RunUntil([&] { return to_it.server.closed() && from_it.client.closed(); });
  EXPECT_TRUE(to_it.server.was_reset() && from_it.client.was_reset()) << "its programs need not wait";
  RunUntil([&] { return moves.machine().configured_cid() == 7u; });  // the VMM has read it
  EXPECT_EQ(moves.cid(), 3u);
  AwaitDriverCid(3, 3);

  const uint64_t seen = stays.received_packets();
  ExpectRefused(moves, 4);
  ExpectRefused(moves, kHost);
  EXPECT_EQ(stays.received_packets(), seen) << "nothing comes through under a CID that it has no more";
  EXPECT_EQ(stats(3).from_guest_former_cid, 2u);
  EXPECT_EQ(stats(3).from_guest_dropped_spoofed_source, 0u);
  moves.Listen(Port(90));
  ExpectRefused(stays, 7);  // its answer has the wrong address
  EXPECT_GT(stats(3).from_guest_former_cid, 2u);

  ASSERT_TRUE(moves.Reset().ok());
  EXPECT_EQ(moves.cid(), 7u);
  AwaitDriverCid(3, 7);
  ExpectReached(stays, 7, moves);
  ExpectReached(moves, 4, stays);
}

TEST_F(NewCidTest, WhoHasTheFormerCidNextHearsNothingOfTheOld) {
  SimulatedGuest& moves = Boot(3);
  SimulatedGuest& stays = Boot(4);
  Pair traffic = Connect(moves, stays, Port(80));
  traffic.client.SendPattern(1, 10u << 20);
  const Backend::Vm moved = vm(3);
  backend().ChangeCid(moved, 7);
  absl::StatusOr<Backend::Vm> next = backend().AddVm(3, {});
  ASSERT_TRUE(next.ok());
  SimulatedGuest& heir = NewGuest();
  ASSERT_TRUE(heir.PowerOn(next->vhost_user_socket).ok());
  ExpectReached(stays, 3, heir);
  const uint64_t seen = heir.received_packets();
  ExpectRefused(moves, 4);  // says that it is 3
  EXPECT_EQ(heir.received_packets(), seen);
  ExpectReached(heir, 4, stays);
  ExpectReached(stays, 3, heir);
}

TEST_F(NewCidTest, OnceTheDriverHasTheNewOneTheFormerIsAForgery) {
  SimulatedGuest& moves = Boot(3, Modern());
  SimulatedGuest& stays = Boot(4);
  ChangeCid(3, 7);
  AwaitDriverCid(3, 7);
  ExpectReached(moves, 4, stays);
  VsockPacket forged = moves.Packet(VIRTIO_VSOCK_OP_REQUEST, Port(1000), 4, Port(90));
  forged.src_cid = 3;
  const uint64_t resets = moves.received(VIRTIO_VSOCK_OP_RST);
  moves.SendRaw(forged);
  RunUntil([&] { return stats(3).from_guest_dropped_spoofed_source == 1; });
  RunUntilIdle();
  EXPECT_EQ(moves.received(VIRTIO_VSOCK_OP_RST), resets);
  EXPECT_EQ(DriverCid(3), 7u);
}

TEST_F(SlowVmmTest, TheDriverIsToldWhenTheVmmKnows) {
  SimulatedGuest& moves = Boot(3, Busy());
  ChangeCid(3, 7);
  RunUntilIdle();
  EXPECT_EQ(stats(3).transport_resets, 0u) << "the driver would read the former CID from the VMM's copy";
  ASSERT_TRUE(*moves.machine().front_end().ServeBackChannel());
  AwaitDriverCid(3, 7);
  EXPECT_EQ(stats(3).transport_resets, 1u);
}

TEST_F(SlowVmmTest, AVmmThatSleepsDelaysItForASecond) {
  SimulatedGuest& moves = Boot(3, Busy());
  ChangeCid(3, 7);
  RunUntilIdle();
  EXPECT_EQ(moves.cid(), 3u);
  Pass(VsockDevice::kCidAnswerTimeout);
  RunUntil([&] { return moves.cid() == 7u; });
  EXPECT_EQ(stats(3).transport_resets, 1u);
  EXPECT_EQ(stats(3).unanswered_config_changes, 1u);
  // It wakes up late; that changes nothing.
  ASSERT_TRUE(*moves.machine().front_end().ServeBackChannel());
  RunUntilIdle();
  EXPECT_EQ(stats(3).transport_resets, 1u);
  EXPECT_EQ(DriverCid(3), 7u);
}

TEST_F(NewCidTest, AVmmWithoutABackChannelOrAcknowledgementsIsNotWaitedFor) {
  GuestOptions silent = Modern();
  silent.front_end.back_channel = false;
  GuestOptions modest = Modern();
  modest.front_end.reply_ack = false;
  SimulatedGuest& a = Boot(3, silent);
  SimulatedGuest& b = Boot(4, modest);
  ChangeCid(3, 7);
  ChangeCid(4, 8);
  AwaitDriverCid(3, 7);
  AwaitDriverCid(4, 8);
  ExpectReached(a, 8, b);
  ExpectReached(b, 7, a);
}

TEST_F(SlowVmmTest, NonsenseOnTheBackChannelEndsItAndNothingElse) {
  const std::vector<std::string> nonsense = {std::string(20, 'x'), std::string(1000, 0), std::string(7, 1)};
  Cid cid = 10;
  for (const std::string& bytes : nonsense) {
    SimulatedGuest& moves = Boot(cid, Busy());
    VhostUserFrontEnd& vmm = moves.machine().front_end();
    ChangeCid(cid, cid + 100);
    RunUntilIdle();
    ASSERT_TRUE(vmm.TakeFromBackChannel().ok());
    ASSERT_TRUE(vmm.AnswerOnBackChannel(AsBytes(bytes)).ok());
    if (bytes.size() < 20) Pass(VsockDevice::kCidAnswerTimeout);  // the rest never comes
    RunUntil([&] { return moves.cid() == cid + 100; });
    EXPECT_TRUE(moves.machine().on());
    ++cid;
  }
}

TEST_F(NewCidTest, APausedGuestIsToldWhenItGoesOn) {
  SimulatedGuest& moves = Boot(3, Modern());
  SimulatedGuest& stays = Boot(4);
  Pair traffic = Connect(stays, moves, Port(80));
  ASSERT_TRUE(moves.Suspend().ok());
  AwaitState(3, DeviceState::kSuspended);
  ChangeCid(3, 7);
  RunUntil([&] { return traffic.client.closed(); });
  EXPECT_EQ(moves.cid(), 3u);
  ASSERT_TRUE(moves.Resume().ok());
  AwaitDriverCid(3, 7);
  ExpectReached(stays, 7, moves);
}

TEST_F(NewCidTest, AVmWithoutAGuestHasItWhenOneComes) {
  AddVm(3);
  ChangeCid(3, 7);
  ChangeCid(3, 8);
  SimulatedGuest& late = NewGuest();
  SimulatedGuest& stays = Boot(4);
  ASSERT_TRUE(late.PowerOn(vm(3).vhost_user_socket).ok());
  EXPECT_EQ(late.cid(), 8u);
  AwaitDriverCid(3, 8);
  ExpectReached(stays, 8, late);
  ExpectRefused(stays, 7);
}

TEST_F(NewCidTest, ADrainedVmStaysDrained) {
  SimulatedGuest& moves = Boot(3, Modern());
  SimulatedGuest& stays = Boot(4);
  backend().Drain(vm(3));
  ChangeCid(3, 7);
  AwaitDriverCid(3, 7);
  moves.Listen(Port(90));
  ExpectRefused(stays, 7);
  EXPECT_EQ(backend().Status(vm(3)).drain, DrainState::kDrained);
}

TEST_F(NewCidTest, ManyChangesUnderTraffic) {
  SimulatedGuest& one = Boot(3, Modern());
  SimulatedGuest& other = Boot(4, Modern());
  std::vector<Stream> streams;
  for (int i = 0; i < 40; ++i) {
    for (auto& [from, to] : {std::pair(&one, &other), std::pair(&other, &one)}) {
      to->Listen(Port(80));
      streams.push_back(from->Connect(to->cid(), Port(80)));
      streams.back().SendPattern(1, 1u << 20);
    }
    RunUntil([&] { return streams.back().sent_bytes() > 0 || streams.back().closed(); });
    const Cid next = 100 + static_cast<Cid>(i);
    ChangeCid(3, next);
    if (i % 2 == 0) ChangeCid(4, 1000 + next);
    RunUntil([&] { return one.cid() == next && (i % 2 != 0 || other.cid() == 1000 + next); });
  }
  RunUntil(
      [&] { return std::all_of(streams.begin(), streams.end(), [](const Stream& each) { return each.closed(); }); });
  AwaitNoFlows();
  ExpectReached(one, other.cid(), other);
  ExpectReached(other, one.cid(), one);
}

}  // namespace
}  // namespace kinsock::testing
