// SPDX-License-Identifier: Apache-2.0
//
// Programs that connect to a forward without end, and say nothing: what they can use up is bounded, and their own.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "device/host_side.h"
#include "tests/integration/forward_fixture.h"

namespace kinsock::testing {
namespace {

// Whether the other end has closed or reset the connection.
bool IsOver(const UniqueFd& fd) {
  char byte;
  const ssize_t got = recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != ENOTCONN);
}

TEST_F(ForwardTest, TenThousandIdleProgramsAreBounded) {
  constexpr int kPrograms = 10'000;
  constexpr int kBatch = 100;  // what the listener's queue holds
  SimulatedGuest& guest = Boot(Cid(3));
  const auto flooded = ForwardToGuest(Cid(3), 80, HostFamily::kTcp4);
  const auto other = ForwardToGuest(Cid(3), 81, HostFamily::kTcp4);
  guest.Listen(80);
  std::vector<UniqueFd> open;
  for (int made = 0; made < kPrograms; made += kBatch) {
    for (int i = 0; i < kBatch; ++i) open.push_back(StartConnecting(flooded->host));
    RunUntil([&] { return flooded->stats->connects.value() == static_cast<uint64_t>(made + kBatch); });
    RunUntilIdle();
    std::erase_if(open, IsOver);
    ASSERT_LE(open.size(), static_cast<size_t>(Forward::kMaxOpen));
  }
  EXPECT_EQ(flooded->stats->open.load(), Forward::kMaxOpen);
  EXPECT_EQ(open.size(), static_cast<size_t>(Forward::kMaxOpen));
  EXPECT_EQ(flooded->stats->limited.value(), static_cast<uint64_t>(kPrograms - Forward::kMaxOpen));
  EXPECT_EQ(flooded->stats->refused.value(), flooded->stats->limited.value());
  EXPECT_EQ(flooded->stats->last_refusal.load(), CloseReason::kQuota);
  // The others do not feel it.
  HostPair pair = ConnectThrough(*other, guest);
  Exchange(pair, 1, 100'000);

  open.clear();
  while (std::optional<Stream> stream = guest.TryAccept(80)) stream->Close();
  RunUntil([&] { return flooded->stats->open.load() == 0; });
  HostPair again = ConnectThrough(*flooded, guest);
  Exchange(again, 3, 100'000);
}

TEST_F(ForwardTest, ProgramsThatTheGuestDoesNotAnswerShareTheVmsBound) {
  Backend::VmOptions options;
  options.limits.max_pending_connections = 8;
  SimulatedGuest& guest = Boot(Cid(3), {}, options);
  const auto first = ForwardToGuest(Cid(3), 80, HostFamily::kTcp4);
  const auto second = ForwardToGuest(Cid(3), 81, HostFamily::kUnix);
  guest.Capture(80);
  guest.Capture(81);
  std::vector<UniqueFd> programs;
  for (int i = 0; i < 10; ++i) {
    programs.push_back(StartConnecting(first->host));
    programs.push_back(StartConnecting(second->host));
  }
  RunUntil([&] { return first->stats->connects.value() == 10 && second->stats->connects.value() == 10; });
  RunUntilIdle();
  EXPECT_EQ(first->stats->open.load() + second->stats->open.load(), 8);
  EXPECT_EQ(first->stats->refused.value() + second->stats->refused.value(), 12u);
  EXPECT_EQ(stats(3).from_guest_limited_pending_connections, 12u);
  clock.Advance(HostSide::kConnectTimeout);
  RunUntil([&] { return first->stats->open.load() + second->stats->open.load() == 0; });
}

TEST_F(ForwardTest, CallsOfAGuestThroughOneForwardAreBounded) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostListener target = HostListener::At(HostFamily::kUnix, NewPath());
  const auto forward = ForwardFromGuest(Cid(3), 80, target.address);
  std::vector<UniqueFd> programs;
  std::vector<Stream> streams;
  for (int64_t i = 0; i < Forward::kMaxOpen + 100; ++i) {
    streams.push_back(guest.Connect(kHostCid, 80));
    if (i % 64 != 0) continue;
    RunUntil([&] {
      while (std::optional<UniqueFd> accepted = target.TryAccept()) programs.push_back(std::move(*accepted));
      return !streams.back().connecting();
    });
  }
  RunUntil([&] {
    while (std::optional<UniqueFd> accepted = target.TryAccept()) programs.push_back(std::move(*accepted));
    return forward->stats->limited.value() == 100;
  });
  EXPECT_EQ(forward->stats->open.load(), Forward::kMaxOpen);
  EXPECT_EQ(LastCloseReason(), CloseReason::kQuota);
  HybridListener hybrid(uds_path(3), 81);
  Stream elsewhere = guest.Connect(kHostCid, 81);
  RunUntil([&] { return elsewhere.established(); });
}

}  // namespace
}  // namespace kinsock::testing
