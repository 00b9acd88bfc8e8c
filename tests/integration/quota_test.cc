// SPDX-License-Identifier: Apache-2.0
//
// The quota of a VM: rates are kept without losing a byte, connections beyond a limit are refused, and each limit says
// that it was met. Time passes only when the tests say so.
#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "device/limit_watch.h"
#include "tests/integration/hybrid_fixture.h"
#include "tests/support/simulated_clock.h"

namespace kinsock::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kLargestPacket = 64 << 10;  // of a guest: by so much may a byte rate be exceeded, once

struct TestClock {
  SimulatedClock clock;
};

class QuotaTest : private TestClock, public HybridTest {
 protected:
  QuotaTest() : HybridTest(TestClock::clock) {}

  static Backend::VmOptions With(Rate DeviceLimits::*rate, Rate value) {
    Backend::VmOptions options;
    options.limits.*rate = value;
    return options;
  }

  void Pass(std::chrono::nanoseconds time) {
    clock.Advance(time);
    RunUntilIdle();
  }

  // That `received` follows `rate` from an idle start on.
  void ExpectRate(const std::function<uint64_t()>& received, Rate rate) {
    RunUntilIdle();
    for (int tenths = 0;; ++tenths) {
      const uint64_t due = rate.burst + rate.per_second * static_cast<uint64_t>(tenths) / 10;
      EXPECT_GE(received(), due) << tenths;
      EXPECT_LE(received(), due + kLargestPacket) << tenths;
      if (tenths == 10) return;
      Pass(milliseconds(100));
    }
  }

  void ExpectLimited(Cid cid, QuotaLimit limit) {
    RunUntil([&] { return backend().Status(vm(cid)).limited == limit; });
  }
};

constexpr Rate kSlow{kMiB, kMiB / 4};

TEST_F(QuotaTest, BytesOfAGuestToASibling) {
  SimulatedGuest& sender = Boot(Cid(3), {}, With(&DeviceLimits::bytes_from_guest, kSlow));
  SimulatedGuest& receiver = Boot(Cid(4));
  auto [client, server] = Connect(sender, receiver);
  server.ExpectPattern(1);
  client.SendPattern(1, 4 * kMiB);
  ExpectRate([s = server] { return s.received_bytes(); }, kSlow);
  EXPECT_GT(stats(3).from_guest_limited_bytes, 0u);
  ExpectLimited(3, QuotaLimit::kBytesFromGuest);

  backend().SetLimits(vm(3), Backend::Unhurried());
  RunUntil([s = server] { return s.received_bytes() == 4 * kMiB; });
  EXPECT_EQ(server.Verdict(4 * kMiB), "exact");
}

TEST_F(QuotaTest, BytesOfAGuestToAHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3), {}, With(&DeviceLimits::bytes_from_guest, kSlow));
  HostPair pair = ConnectToHost(guest);
  pair.program->ExpectPattern(1);
  pair.guest.SendPattern(1, 4 * kMiB);
  ExpectRate([&] { return pair.program->received_bytes(); }, kSlow);
}

TEST_F(QuotaTest, BytesOfASiblingToAGuest) {
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4), {}, With(&DeviceLimits::bytes_to_guest, kSlow));
  SimulatedGuest& other = Boot(Cid(5));
  auto [client, server] = Connect(sender, receiver);
  auto [other_client, other_server] = Connect(sender, other);
  server.ExpectPattern(1);
  client.SendPattern(1, 4 * kMiB);
  ExpectRate([s = server] { return s.received_bytes(); }, kSlow);
  EXPECT_GT(stats(4).to_guest_limited_bytes, 0u);
  ExpectLimited(4, QuotaLimit::kBytesToGuest);

  // Who sends to it is not held up in what else it does.
  other_server.ExpectPattern(2);
  other_client.SendPattern(2, 4 * kMiB);
  Pass(milliseconds(10));
  RunUntil([s = other_server] { return s.received_bytes() == 4 * kMiB; });
  EXPECT_EQ(other_server.Verdict(4 * kMiB), "exact");
  EXPECT_EQ(backend().Status(vm(3)).limited, QuotaLimit::kNone);

  backend().SetLimits(vm(4), Backend::Unhurried());
  RunUntil([s = server] { return s.received_bytes() == 4 * kMiB; });
  EXPECT_EQ(server.Verdict(4 * kMiB), "exact");
}

TEST_F(QuotaTest, BytesOfAHostProgramToAGuest) {
  SimulatedGuest& guest = Boot(Cid(3), {}, With(&DeviceLimits::bytes_to_guest, kSlow));
  HostPair pair = ConnectFromHost(guest);
  pair.guest.ExpectPattern(1);
  pair.program->SendPattern(1, 2 * kMiB);
  ExpectRate([&] { return pair.guest.received_bytes(); }, kSlow);
  for (int i = 0; i < 10; ++i) Pass(milliseconds(100));
  EXPECT_EQ(pair.guest.received_bytes(), 2 * kMiB);
  EXPECT_EQ(pair.guest.Verdict(2 * kMiB), "exact");
}

// The answers that a connection needs are no payload.
TEST_F(QuotaTest, ConnectionsBeginAndEndBesideALimit) {
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4), {}, With(&DeviceLimits::bytes_to_guest, kSlow));
  HostPair pair = ConnectFromHost(receiver);
  pair.program->SendPattern(1, 4 * kMiB);
  RunUntilIdle();
  ExpectLimited(4, QuotaLimit::kBytesToGuest);
  auto [client, server] = Connect(sender, receiver, Port(90));
  client.Close();
  server.Close();
  RunUntil([c = client, s = server] { return c.closed() && s.closed(); });
}

TEST_F(QuotaTest, BetweenSiblingsTheSlowerOfTheTwoHolds) {
  const Rate slower{kMiB / 2, kMiB / 4};
  for (const bool sender_is_slower : {true, false}) {
    SCOPED_TRACE(sender_is_slower);
    const Cid from = sender_is_slower ? 3 : 5;
    SimulatedGuest& sender = Boot(from, {}, With(&DeviceLimits::bytes_from_guest, sender_is_slower ? slower : kSlow));
    SimulatedGuest& receiver =
        Boot(from + 1, {}, With(&DeviceLimits::bytes_to_guest, sender_is_slower ? kSlow : slower));
    auto [client, server] = Connect(sender, receiver);
    server.ExpectPattern(1);
    client.SendPattern(1, 4 * kMiB);
    ExpectRate([s = server] { return s.received_bytes(); }, slower);
  }
}

TEST_F(QuotaTest, PacketsOfAGuest) {
  const Rate rate{100, 50};
  SimulatedGuest& guest = Boot(Cid(3));
  IgnoreViolationsOf(guest);
  backend().SetLimits(vm(3), With(&DeviceLimits::packets_from_guest, rate).limits);
  for (int i = 0; i < 500; ++i) guest.SendRaw(guest.Packet(VIRTIO_VSOCK_OP_RST, Port(5000), 99, Port(80)));
  RunUntilIdle();
  for (uint64_t tenths = 0; tenths <= 10; ++tenths) {
    EXPECT_EQ(stats(3).from_guest_packets, rate.burst + tenths * 10);
    Pass(milliseconds(100));
  }
  EXPECT_GT(stats(3).from_guest_limited_packets, 0u);
  ExpectLimited(3, QuotaLimit::kPacketsFromGuest);
}

class ConnectRateTest : public QuotaTest {
 protected:
  static constexpr Rate kRate{5, 5};

  // How many of `calls` have come about, when all are decided.
  size_t Established(const std::vector<Stream>& calls) {
    RunUntil([&] { return std::none_of(calls.begin(), calls.end(), [](const Stream& s) { return s.connecting(); }); });
    return static_cast<size_t>(
        std::count_if(calls.begin(), calls.end(), [](const Stream& s) { return s.established(); }));
  }

  std::vector<Stream> Call(SimulatedGuest& from, SimulatedGuest& to, int times) {
    to.Listen(Port(80));
    std::vector<Stream> calls;
    for (int i = 0; i < times; ++i) calls.push_back(from.Connect(to.cid(), Port(80)));
    return calls;
  }
};

TEST_F(ConnectRateTest, OfAGuest) {
  SimulatedGuest& caller = Boot(Cid(3), {}, With(&DeviceLimits::connects, kRate));
  SimulatedGuest& called = Boot(Cid(4));
  EXPECT_EQ(Established(Call(caller, called, 8)), 5u);
  EXPECT_EQ(stats(3).from_guest_limited_connects, 3u);
  ExpectLimited(3, QuotaLimit::kConnects);
  size_t for_quota = 0;
  for (const FlowInfo& flow : backend().ClosedFlows()) for_quota += flow.close_reason == CloseReason::kQuota;
  EXPECT_EQ(for_quota, 3u);

  Pass(milliseconds(400));
  EXPECT_EQ(Established(Call(caller, called, 8)), 2u);
}

TEST_F(ConnectRateTest, OfSiblingsToAGuest) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& called = Boot(Cid(4), {}, With(&DeviceLimits::connects, kRate));
  EXPECT_EQ(Established(Call(caller, called, 8)), 5u);
  EXPECT_EQ(stats(4).to_guest_limited_connects, 3u);
  EXPECT_EQ(stats(3).from_guest_limited_connects, 0u);
  ExpectLimited(4, QuotaLimit::kConnects);
}

TEST_F(ConnectRateTest, OfHostProgramsToAGuest) {
  SimulatedGuest& guest = Boot(Cid(3), {}, With(&DeviceLimits::connects, kRate));
  std::vector<HostPair> pairs;
  for (int i = 0; i < 5; ++i) pairs.push_back(ConnectFromHost(guest));
  HybridClient sixth(stage(), uds_path(3));
  sixth.Connect(80);
  RunUntil([&] { return sixth.at_eof(); });
  EXPECT_FALSE(sixth.ok_port().has_value());
  EXPECT_EQ(stats(3).from_guest_limited_connects, 1u);
  Pass(milliseconds(200));
  ConnectFromHost(guest, Port(81));
}

TEST_F(QuotaTest, FewerConnectionsThanThereAreLeaveThoseAlone) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& called = Boot(Cid(4));
  auto [first, first_server] = Connect(caller, called);
  auto [second, second_server] = Connect(caller, called);
  Backend::VmOptions one;
  one.limits.max_connections = 1;
  backend().SetLimits(vm(3), one.limits);
  Stream refused = caller.Connect(called.cid(), Port(80));
  RunUntil([&] { return refused.closed(); });
  EXPECT_TRUE(refused.was_reset());
  ExpectLimited(3, QuotaLimit::kConnections);
  first.Send("still here");
  RunUntil([s = first_server] { return s.received_bytes() == 10; });
  EXPECT_TRUE(second.established());
}

TEST_F(QuotaTest, PayloadThatMayNotWaitEndsItsConnection) {
  SimulatedGuest& sender = Boot(Cid(3));
  Backend::VmOptions little = With(&DeviceLimits::bytes_to_guest, {kMiB, kMiB / 100});
  little.limits.max_buffered_bytes = 4096;
  SimulatedGuest& receiver = Boot(Cid(4), {}, little);
  auto [client, server] = Connect(sender, receiver);
  client.SendPattern(1, 4 * kMiB);
  // It waits in the sender's ring; when the VMM stops that, it has to be kept, and may not be.
  RunUntilIdle();
  ASSERT_TRUE(sender.Suspend().ok());
  ASSERT_TRUE(sender.Resume().ok());
  RunUntil([c = client] { return c.was_reset(); });
  EXPECT_EQ(stats(4).guest_port.limited_buffered_bytes, 1u);
  Pass(LimitWatch::kLately);  // it was the rate that was named
  ExpectLimited(4, QuotaLimit::kBufferBytes);
}

TEST_F(QuotaTest, ALimitIsNamedForAWhileAfterItWasMet) {
  SimulatedGuest& sender = Boot(Cid(3), {}, With(&DeviceLimits::bytes_from_guest, kSlow));
  SimulatedGuest& receiver = Boot(Cid(4));
  auto [client, server] = Connect(sender, receiver);
  client.SendPattern(1, kMiB / 2);
  RunUntilIdle();
  ExpectLimited(3, QuotaLimit::kBytesFromGuest);
  for (int i = 0; i < 10; ++i) Pass(milliseconds(100));
  EXPECT_EQ(server.received_bytes(), kMiB / 2);
  Pass(LimitWatch::kLately);
  Pass(LimitWatch::kLately);
  ExpectLimited(3, QuotaLimit::kNone);
  Pass(LimitWatch::kLately);
  EXPECT_EQ(backend().Status(vm(3)).limited, QuotaLimit::kNone);
}

TEST_F(QuotaTest, AVmThatIsRemovedWhileOthersWaitForItsRate) {
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4), {}, With(&DeviceLimits::bytes_to_guest, kSlow));
  auto [client, server] = Connect(sender, receiver);
  HostPair pair = ConnectFromHost(receiver, Port(81));
  client.SendPattern(1, 4 * kMiB);
  pair.program->SendPattern(2, 4 * kMiB);
  RunUntilIdle();
  RemoveVm(4);
  RunUntil([c = client] { return c.was_reset(); });
  RunUntil([&] { return pair.program->at_eof() || pair.program->broken(); });
}

}  // namespace
}  // namespace kinsock::testing
