// SPDX-License-Identifier: Apache-2.0
//
// Guests reset, VMMs exit and come back, VMs are paused and removed: whoever is left is told at once, and what was only
// paused loses nothing.
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <cstdio>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

class VmLifeTest : public SwitchTest {
 protected:
  void Transfer(Pair pair, uint32_t seed, uint64_t bytes) {
    pair.server.ExpectPattern(seed);
    pair.client.SendPattern(seed, bytes);
    RunUntil([&] { return pair.server.received_bytes() >= bytes; });
    EXPECT_EQ(pair.server.Verdict(bytes), "exact");
  }
};

// The ways in which a guest can be gone from one moment to the next.
struct Ending {
  const char* name;
  std::function<absl::Status(SimulatedGuest&)> end;
  std::function<absl::Status(SimulatedGuest&, const std::string&)> restart;
};

std::vector<Ending> Endings() {
  return {
      // A driver reload is the same to the back-end: the rings stop, and start from 0.
      {"GuestReset", [](SimulatedGuest& g) { return g.Reset(); },
       [](SimulatedGuest&, const std::string&) { return absl::OkStatus(); }},
      {"VmmExit",
       [](SimulatedGuest& g) {
         g.Kill();
         return absl::OkStatus();
       },
       [](SimulatedGuest& g, const std::string& path) { return g.PowerOn(path); }},
  };
}

class EndingTest : public VmLifeTest, public ::testing::WithParamInterface<Ending> {};
INSTANTIATE_TEST_SUITE_P(All, EndingTest, ::testing::ValuesIn(Endings()),
                         [](const auto& info) { return info.param.name; });

TEST_P(EndingTest, IsToldToTheSiblingAndLeavesNoTrace) {
  SimulatedGuest& mortal = Boot(Cid(3));
  SimulatedGuest& survivor = Boot(Cid(4));
  for (uint32_t round = 1; round <= 3; ++round) {
    Pair out = Connect(mortal, survivor);
    Pair in = Connect(survivor, mortal);
    out.client.SendPattern(round, 4u << 20);
    in.client.SendPattern(round, 4u << 20);
    RunUntil([&] { return out.server.received_bytes() > 0 && in.server.received_bytes() > 0; });

    ASSERT_TRUE(GetParam().end(mortal).ok());
    RunUntil([&] { return out.server.closed() && in.client.closed(); });
    EXPECT_TRUE(out.server.was_reset());
    EXPECT_TRUE(in.client.was_reset());

    const absl::Status restarted = GetParam().restart(mortal, vm(3).vhost_user_socket);
    ASSERT_TRUE(restarted.ok()) << restarted;
    AwaitState(Cid(3), DeviceState::kActive);
    AwaitNoFlows();
    Transfer(Connect(mortal, survivor), 7, 100'000);
    Transfer(Connect(survivor, mortal), 8, 100'000);
    EXPECT_TRUE(mortal.Reset().ok());
    AwaitNoFlows();
  }
}

TEST_F(VmLifeTest, ARemovedVmIsToldToItsSiblingAndItsVmm) {
  SimulatedGuest& doomed = Boot(Cid(3));
  SimulatedGuest& survivor = Boot(Cid(4));
  Pair out = Connect(doomed, survivor);
  Pair in = Connect(survivor, doomed);
  out.client.SendPattern(1, 4u << 20);
  in.client.SendPattern(1, 4u << 20);
  RunUntil([&] { return out.server.received_bytes() > 0; });
  RemoveVm(Cid(3));
  EXPECT_TRUE(doomed.machine().front_end().connection().AwaitClose().ok());
  doomed.Kill();
  RunUntil([&] { return out.server.closed() && in.client.closed(); });
  EXPECT_TRUE(out.server.was_reset());
  EXPECT_TRUE(in.client.was_reset());
  EXPECT_THAT(switch_flows(), IsEmpty());

  Boot(Cid(3));
  Stream call = survivor.Connect(3, Port(80));
  RunUntil([&] { return call.closed(); });
}

TEST_F(VmLifeTest, APausedReceiverLosesNothing) {
  constexpr uint64_t kBytes = 3u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  Pair pair = Connect(sender, sleeper);
  pair.server.ExpectPattern(1);
  pair.client.SendPattern(1, kBytes);
  for (uint64_t milestone : {1u, 1u << 20, 2u << 20}) {
    RunUntil([&] { return pair.server.received_bytes() >= milestone; });
    ASSERT_TRUE(sleeper.Suspend().ok());
    AwaitState(Cid(4), DeviceState::kSuspended);
    RunUntilIdle();
    EXPECT_TRUE(pair.client.established());
    ASSERT_TRUE(sleeper.Resume().ok());
  }
  RunUntil([&] { return pair.server.received_bytes() >= kBytes; });
  EXPECT_EQ(pair.server.Verdict(kBytes), "exact");
}

TEST_F(VmLifeTest, APausedSenderLosesNothing) {
  constexpr uint64_t kBytes = 3u << 20;
  SimulatedGuest& sleeper = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  Pair pair = Connect(sleeper, receiver);
  pair.server.ExpectPattern(1);
  pair.client.SendPattern(1, kBytes);
  for (uint64_t milestone : {1u, 1u << 20, 2u << 20}) {
    RunUntil([&] { return pair.server.received_bytes() >= milestone; });
    ASSERT_TRUE(sleeper.Suspend().ok());
    RunUntilIdle();
    ASSERT_TRUE(sleeper.Resume().ok());
  }
  RunUntil([&] { return pair.server.received_bytes() >= kBytes; });
  EXPECT_EQ(pair.server.Verdict(kBytes), "exact");
}

// The kick went to an eventfd of the session's earlier life: the rings are looked at once when they start.
TEST_F(VmLifeTest, AKickLostOverAPauseIsMadeUpFor) {
  SimulatedGuest& sleeper = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  Pair pair = Connect(sleeper, receiver);
  RunUntilIdle();
  sleeper.machine().tx().ring().set_kick_rule(VringDriver::KickRule::kNever);
  pair.client.Send("before the pause");
  stage().Step();
  ASSERT_TRUE(sleeper.Suspend().ok());
  ASSERT_TRUE(sleeper.Resume().ok());
  RunUntil([&] { return pair.server.Received() == "before the pause"; });
}

TEST_F(VmLifeTest, AKickOfAnEarlierLifeIsIgnored) {
  SimulatedGuest& sleeper = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  Pair pair = Connect(sleeper, receiver);
  const UniqueFd old_kick(dup(sleeper.machine().tx().ring().kick_fd()));
  ASSERT_TRUE(sleeper.Suspend().ok());
  for (int i = 0; i < 10; ++i) eventfd_write(old_kick.get(), 1);
  RunUntilIdle();
  ASSERT_TRUE(sleeper.Resume().ok());
  for (int i = 0; i < 10; ++i) eventfd_write(old_kick.get(), 1);
  Transfer(pair, 1, 100'000);
}

// A ring that was paused when its index had just wrapped to 0 is not a ring that starts anew.
TEST_F(VmLifeTest, APauseAtIndexZeroLosesNothing) {
  SimulatedGuest& sleeper = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  Pair pair = Connect(sleeper, sibling);
  const VringDriver& ring = sleeper.machine().tx().ring();
  RunUntilIdle();
  for (uint32_t left = 0x10000u - ring.avail_idx(); left > 0; --left) {
    pair.client.connection().SendCreditUpdate();
    if (left % 100 == 0) RunUntil([&] { return sleeper.machine().tx().queued() == 0; });
  }
  RunUntilIdle();
  ASSERT_EQ(ring.avail_idx(), 0);
  ASSERT_TRUE(sleeper.Suspend().ok());
  ASSERT_TRUE(sleeper.Resume().ok());
  Transfer(pair, 1, 100'000);
}

TEST_F(VmLifeTest, WhoConnectsToAPausedGuestWaits) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  sleeper.Listen(Port(80));
  ASSERT_TRUE(sleeper.Suspend().ok());
  Stream call = caller.Connect(sleeper.cid(), Port(80));
  RunUntilIdle();
  EXPECT_TRUE(call.connecting());
  ASSERT_TRUE(sleeper.Resume().ok());
  RunUntil([&] { return call.established(); });
}

TEST_F(VmLifeTest, TheMemoryTableChangesUnderTraffic) {
  constexpr uint64_t kBytes = 4u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  Pair pair = Connect(sender, receiver);
  pair.server.ExpectPattern(1);
  pair.client.SendPattern(1, kBytes);
  for (uint64_t milestone = 1; milestone < kBytes; milestone += kBytes / 16) {
    RunUntil([&] { return pair.server.received_bytes() >= milestone; });
    ASSERT_TRUE(sender.machine().TellMemoryAgain().ok());
    ASSERT_TRUE(receiver.machine().TellMemoryAgain().ok());
  }
  RunUntil([&] { return pair.server.received_bytes() >= kBytes; });
  EXPECT_EQ(pair.server.Verdict(kBytes), "exact");
}

TEST_F(VmLifeTest, TruncatedMemoryFencesOnlyItsOwner) {
  GuestOptions unsealable;  // else the device forbids it
  unsealable.allow_sealing = false;
  SimulatedGuest& victim = Boot(Cid(3), unsealable);
  SimulatedGuest& sibling = Boot(Cid(4));
  SimulatedGuest& bystander = Boot(Cid(5));
  Pair out = Connect(victim, sibling);
  Pair in = Connect(sibling, victim);
  Pair apart = Connect(sibling, bystander);
  out.client.SendPattern(1, 4u << 20);
  in.client.SendPattern(1, 4u << 20);
  RunUntil([&] { return out.server.received_bytes() > 0 && in.server.received_bytes() > 0; });

  victim.machine().memory().Truncate(0);
  eventfd_write(victim.machine().tx().ring().kick_fd(), 1);
  RunUntil([&] { return out.server.closed() && in.client.closed(); });
  Transfer(apart, 2, 1u << 20);
  RunUntil([&] { return !backend().Status(vm(3)).last_error.empty(); });
  victim.Kill();
  RunUntilIdle();

  SimulatedGuest& reborn = NewGuest();
  ASSERT_TRUE(reborn.PowerOn(vm(3).vhost_user_socket).ok());
  Transfer(Connect(reborn, sibling, Port(81)), 3, 100'000);
}

TEST_F(VmLifeTest, ProbingTheSocketUsesNothingUp) {
  AddVm(Cid(3));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(VhostUserConnection::Open(vm(3).vhost_user_socket).ok());
  }
  SimulatedGuest& guest = NewGuest();
  ASSERT_TRUE(guest.PowerOn(vm(3).vhost_user_socket).ok());
  SimulatedGuest& sibling = Boot(Cid(4));
  Pair pair = Connect(guest, sibling);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(VhostUserConnection::Open(vm(3).vhost_user_socket).ok());
  }
  Transfer(pair, 1, 100'000);
}

// Those who only looked whether somebody listens must not cost the VMM that comes right behind them its session, even
// when the device finds all of them in its backlog at once.
TEST_F(VmLifeTest, AVmmMayFollowProbesAtOnce) {
  AddVm(Cid(3));
  for (int i = 0; i < 50; ++i) {
    for (int probe = 0; probe < 20; ++probe) {
      absl::StatusOr<VhostUserConnection> asker = VhostUserConnection::Open(vm(3).vhost_user_socket);
      ASSERT_TRUE(asker.ok());
      // Some ask a question before they go.
      if (probe % 2 == 0) (void)asker->Send(VHOST_USER_GET_FEATURES, {});
    }
    absl::StatusOr<VhostUserConnection> wire = VhostUserConnection::Open(vm(3).vhost_user_socket);
    ASSERT_TRUE(wire.ok());
    VhostUserFrontEnd front_end(*std::move(wire), FrontEndOptions());
    const absl::Status realized = front_end.Realize();
    ASSERT_TRUE(realized.ok()) << realized << " (VMM " << i << ")";
  }
}

TEST_F(VmLifeTest, AVmmMayFollowItsPredecessorAtOnce) {
  SimulatedGuest& guest = Boot(Cid(3));
  for (int i = 0; i < 100; ++i) {
    guest.Kill();
    const absl::Status status = guest.PowerOn(vm(3).vhost_user_socket);
    ASSERT_TRUE(status.ok()) << status << " (VMM " << i << ")";
  }
}

TEST_F(VmLifeTest, ASecondVmmDoesNotDisturbTheFirst) {
  SimulatedGuest& first = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  Pair pair = Connect(first, sibling);
  absl::StatusOr<VhostUserConnection> second = VhostUserConnection::Open(vm(3).vhost_user_socket);
  ASSERT_TRUE(second.ok());
  (void)second->Send(VHOST_USER_GET_FEATURES, {});  // it may be closed already
  RunUntilIdle();
  EXPECT_FALSE(second->readable());
  Transfer(pair, 1, 100'000);

  second->Close();
  first.Kill();
  RunUntil([&] { return pair.server.closed(); });
  ASSERT_TRUE(first.PowerOn(vm(3).vhost_user_socket).ok());
  Transfer(Connect(first, sibling, Port(81)), 2, 100'000);
}

// QEMU with server=on after the back-end was restarted: GET_VRING_BASE of rings nobody has set up, then all that
// DRIVER_OK takes, with NEED_REPLY as agreed with the back-end's predecessor.
TEST_F(VmLifeTest, ASessionMayStartMidProtocol) {
  SimulatedGuest& guest = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  guest.Kill();
  RunUntilIdle();
  guest.machine().front_end_options().mid_protocol = true;
  ASSERT_TRUE(guest.machine().StartVmm(vm(3).vhost_user_socket).ok());
  for (uint32_t ring = 0; ring < 2; ++ring) {
    const absl::StatusOr<uint16_t> base = guest.machine().front_end().GetVringBase(ring);
    ASSERT_TRUE(base.ok()) << base.status();
    EXPECT_EQ(*base, 0);
  }
  const absl::Status started = guest.machine().StartDriver();
  ASSERT_TRUE(started.ok()) << started;
  Transfer(Connect(guest, sibling), 1, 100'000);
  Transfer(Connect(sibling, guest), 2, 100'000);
}

TEST_F(VmLifeTest, ResetDeviceEndsWhatWasOpen) {
  SimulatedGuest& guest = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  ASSERT_TRUE(guest.machine().front_end().Agreed(VHOST_USER_PROTOCOL_F_RESET_DEVICE));
  Pair pair = Connect(guest, sibling);
  ASSERT_TRUE(guest.machine().front_end().ResetDevice().ok());
  RunUntil([&] { return pair.server.closed(); });
  ASSERT_TRUE(guest.machine().StartDriver().ok());
  Transfer(Connect(guest, sibling), 1, 100'000);
}

TEST_F(VmLifeTest, AHundredVmsInARing) {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  constexpr uint32_t kVms = 100;
  GuestOptions modest;
  modest.rx_buffers = 16;
  std::vector<SimulatedGuest*> guests;
  for (uint32_t i = 0; i < kVms; ++i) guests.push_back(&Boot(Cid(3 + i), modest));
  std::vector<Pair> pairs;
  for (uint32_t i = 0; i < kVms; ++i) pairs.push_back(Connect(*guests[i], *guests[(i + 1) % kVms]));
  for (uint32_t i = 0; i < kVms; ++i) {
    pairs[i].server.ExpectPattern(i);
    pairs[i].client.SendPattern(i, 20'000);
  }
  for (const Pair& pair : pairs) {
    RunUntil([&] { return pair.server.received_bytes() >= 20'000; });
    EXPECT_EQ(pair.server.Verdict(20'000), "exact");
  }
  EXPECT_EQ(switch_flows().size(), kVms);
  for (SimulatedGuest* guest : guests) guest->Kill();
  AwaitNoFlows();
}

TEST_F(VmLifeTest, ThePoolMayGoUnderTraffic) {
  std::vector<SimulatedGuest*> guests;
  for (Cid cid = 3; cid < 7; ++cid) guests.push_back(&Boot(cid));
  std::vector<Pair> pairs;
  for (size_t i = 0; i < 4; ++i) pairs.push_back(Connect(*guests[i], *guests[(i + 1) % 4]));
  for (Pair& pair : pairs) pair.client.SendPattern(1, 64u << 20);
  RunUntil([&] { return pairs[3].server.received_bytes() > 0; });
  backend().ShutDown();
  for (SimulatedGuest* guest : guests) {
    EXPECT_TRUE(guest->machine().front_end().connection().AwaitClose().ok());
  }
}

TEST_F(VmLifeTest, ComingAndGoingLeavesNothingBehind) {
  SimulatedGuest& survivor = Boot(Cid(4));
  SimulatedGuest& restless = Boot(Cid(3));
  RunUntilIdle();
  const size_t descriptors = OpenDescriptors();
  const size_t mappings = Mappings();
  for (int i = 0; i < 50; ++i) {
    Pair pair = Connect(restless, survivor);
    restless.Kill();
    RunUntil([&] { return pair.server.closed(); });
    ASSERT_TRUE(restless.PowerOn(vm(3).vhost_user_socket).ok());
    AwaitState(Cid(3), DeviceState::kActive);
  }
  RunUntilIdle();
  EXPECT_LE(OpenDescriptors(), descriptors + 2);
  EXPECT_LE(Mappings(), mappings + 8);  // the allocator's, not a table's per round
}

}  // namespace
}  // namespace kinsock::testing
