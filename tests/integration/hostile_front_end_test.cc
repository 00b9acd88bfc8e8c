// SPDX-License-Identifier: Apache-2.0
//
// Front-ends that are slow, repetitive, careless with descriptors or out of order: they are served as far as they
// deserve it, and delay nobody.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/integration/front_end_attacker.h"

namespace kinsock::testing {
namespace {

TEST_F(HostileFrontEndTest, SilenceInTheMiddleOfAMessageBlocksNobody) {
  Attacker attacker = NewAttacker();
  const std::string half("\1\0\0\0\1\0", 6);
  ASSERT_TRUE(attacker.wire().SendBytes(AsBytes(half)).ok());
  SimulatedGuest& left = Boot(Cid(4));
  SimulatedGuest& right = Boot(Cid(5));
  SimulatedGuest& third = Boot(Cid(6));
  Connect(left, right);
  Connect(right, third);
  Connect(third, left);
}

TEST_F(HostileFrontEndTest, MessagesMayComeByteByByte) {
  Attacker attacker = NewAttacker();
  const VhostUserHeader header{VHOST_USER_GET_FEATURES, kVhostUserVersion, 0};
  for (const std::byte& byte : AsBytes(header)) ASSERT_TRUE(attacker.wire().SendBytes({&byte, 1}).ok());
  EXPECT_TRUE(attacker.wire().Receive().ok());

  const VhostUserVsockConfig config;
  std::string message(12, '\0');
  const VhostUserHeader get_config{VHOST_USER_GET_CONFIG, kVhostUserVersion, sizeof(config)};
  std::memcpy(message.data(), &get_config, sizeof(get_config));
  message.append(reinterpret_cast<const char*>(&config), sizeof(config));
  for (const std::byte& byte : AsBytes(message)) ASSERT_TRUE(attacker.wire().SendBytes({&byte, 1}).ok());
  EXPECT_TRUE(attacker.wire().Receive().ok());
}

TEST_F(HostileFrontEndTest, MessagesMayComeAllAtOnce) {
  Attacker attacker = NewAttacker();
  const VhostUserHeader header{VHOST_USER_GET_FEATURES, kVhostUserVersion, 0};
  std::string many;
  for (int i = 0; i < 100; ++i) many.append(reinterpret_cast<const char*>(&header), sizeof(header));
  ASSERT_TRUE(attacker.wire().SendBytes(AsBytes(many)).ok());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(attacker.wire().Receive().ok()) << i;
}

TEST_F(HostileFrontEndTest, NeedReplyIsAlwaysAnswered) {
  Attacker attacker = NewAttacker();
  ASSERT_TRUE(attacker.front_end.Realize().ok());
  attacker.front_end.AssumeAgreed(attacker.front_end.offered_features(), Bit(VHOST_USER_PROTOCOL_F_REPLY_ACK));
  const vhost_vring_state num{0, 128};
  const vhost_vring_state base{0, 0};
  const uint64_t features = Bit(VIRTIO_F_VERSION_1);
  const uint64_t ring = 0;
  const int fd = attacker.rx.kick_fd();
  EXPECT_TRUE(attacker.front_end.SendAcknowledged(VHOST_USER_SET_FEATURES, AsBytes(features)).ok());
  EXPECT_TRUE(attacker.front_end.SetMemTable(attacker.memory).ok());
  EXPECT_TRUE(attacker.front_end.SendAcknowledged(VHOST_USER_SET_VRING_NUM, AsBytes(num)).ok());
  EXPECT_TRUE(attacker.front_end.SendAcknowledged(VHOST_USER_SET_VRING_BASE, AsBytes(base)).ok());
  const vhost_vring_addr address = VhostUserFrontEnd::AddressOf(attacker.memory, 0, attacker.rx);
  EXPECT_TRUE(attacker.front_end.SendAcknowledged(VHOST_USER_SET_VRING_ADDR, AsBytes(address)).ok());
  EXPECT_TRUE(attacker.front_end.SendAcknowledged(VHOST_USER_SET_VRING_CALL, AsBytes(ring), {&fd, 1}).ok());
  EXPECT_TRUE(attacker.front_end.SendAcknowledged(VHOST_USER_SET_VRING_KICK, AsBytes(ring), {&fd, 1}).ok());
  const vhost_vring_state enable{0, 1};
  EXPECT_TRUE(attacker.front_end.SendAcknowledged(VHOST_USER_SET_VRING_ENABLE, AsBytes(enable)).ok());
}

// The specification lets a back-end say "no" with an empty payload; it may also end the session.
TEST_F(HostileFrontEndTest, AConfigurationOfAnySizeIsAnsweredOrRefused) {
  for (const uint32_t offset : {0u, 4u, 8u, 0xffff'fff8u, 0xffff'ffffu}) {
    for (const uint32_t size : {0u, 1u, 8u, 9u, 256u, 0xffff'ffffu}) {
      Attacker attacker = NewAttacker();
      ASSERT_TRUE(attacker.front_end.Realize().ok());
      VhostUserVsockConfig config;
      config.offset = offset;
      config.size = size;
      ASSERT_TRUE(attacker.Send(VHOST_USER_GET_CONFIG, AsBytes(config)).ok());
      attacker.wire().FinishSending();
      EXPECT_TRUE(attacker.wire().AwaitClose().ok());
    }
  }
  ExpectServed();
}

TEST_F(HostileFrontEndTest, TheBaseOfARingNobodySetUpIsZero) {
  Attacker attacker = NewAttacker();
  for (uint32_t ring = 0; ring < 2; ++ring) {
    const absl::StatusOr<uint16_t> base = attacker.front_end.GetVringBase(ring);
    ASSERT_TRUE(base.ok()) << base.status();
    EXPECT_EQ(*base, 0);
  }
}

TEST_F(HostileFrontEndTest, SurplusDescriptorsAreNotKept) {
  RunUntilIdle();
  const UniqueFd junk(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const size_t before = OpenDescriptors();
  for (uint32_t request = 0; request <= 41; ++request) {
    for (const size_t count : {1u, 2u, 8u, 28u, 253u}) {
      Attacker attacker = NewAttacker();
      ASSERT_TRUE(attacker.front_end.Realize().ok());
      const uint64_t payload[5] = {};
      for (const size_t size : {0u, 8u, 40u}) {
        (void)attacker.Send(request, AsBytes(payload).first(size), std::vector<int>(count, junk.get()));
      }
    }
  }
  RunUntil([&] { return OpenDescriptors() <= before; });
  ExpectServed();
}

TEST_F(HostileFrontEndTest, SayingItAgainCostsNothing) {
  SimulatedGuest& guest = NewGuest();
  ASSERT_TRUE(guest.PowerOn(vm(3).vhost_user_socket).ok());
  SimulatedGuest& neighbour = Boot(Cid(4));
  VhostUserFrontEnd& front_end = guest.machine().front_end();
  Pair pair = Connect(guest, neighbour);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(guest.machine().TellMemoryAgain().ok());
  RunUntilIdle();
  const size_t descriptors = OpenDescriptors();
  const size_t mappings = Mappings();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(guest.machine().TellMemoryAgain().ok());
    ASSERT_TRUE(front_end.SetVringFd(VHOST_USER_SET_VRING_CALL, 0, guest.machine().rx().ring().call_fd()).ok());
    ASSERT_TRUE(front_end.SetVringFd(VHOST_USER_SET_VRING_ERR, 1, guest.machine().rx().ring().call_fd()).ok());
  }
  ASSERT_TRUE(front_end.GetU64(VHOST_USER_GET_FEATURES).ok());
  RunUntilIdle();
  EXPECT_LE(OpenDescriptors(), descriptors + 2);
  EXPECT_LE(Mappings(), mappings + 8);
  pair.client.Send("unimpressed");
  RunUntil([&] { return pair.server.Received() == "unimpressed"; });
}

// Kick and call descriptors that are no decent eventfds: nothing blocks, nobody else notices.
TEST_F(HostileFrontEndTest, OddNotifiersBlockNothing) {
  SimulatedGuest& left = Boot(Cid(4));
  SimulatedGuest& right = Boot(Cid(5));
  Pair pair = Connect(left, right);

  std::vector<UniqueFd> odd;
  odd.push_back(UniqueFd(eventfd(0, EFD_CLOEXEC)));  // blocking
  odd.push_back(UniqueFd(eventfd(0, EFD_CLOEXEC)));
  const uint64_t full = ~uint64_t{0} - 1;
  ASSERT_EQ(write(odd.back().get(), &full, sizeof(full)), 8);  // blocking, and a write would block
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  odd.push_back(UniqueFd(ends[0]));
  odd.push_back(UniqueFd(ends[1]));
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  odd.push_back(UniqueFd(ends[0]));
  odd.push_back(UniqueFd(ends[1]));
  odd.push_back(UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC)));
  odd.push_back(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)));
  odd.push_back(UniqueFd(memfd_create("file", MFD_CLOEXEC)));
  uint32_t seed = 1;
  for (const UniqueFd& fd : odd) {
    for (const uint32_t request : {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL}) {
      Attacker attacker = NewAttacker();
      ASSERT_TRUE(attacker.front_end.Realize().ok());
      ASSERT_TRUE(attacker.DriverOk().ok());
      (void)attacker.front_end.SetVringFd(request, 1, fd.get());
      (void)attacker.front_end.SetVringFd(request, 0, fd.get());
      // Something to be called about.
      const uint64_t buffer = attacker.memory.Allocate(4096);
      for (int i = 0; i < 20; ++i) attacker.tx.Add(ChainBuilder().Readable(buffer, 60));
      attacker.tx.Publish();
      attacker.tx.Kick();
      pair.server.ExpectPattern(seed);
      pair.client.SendPattern(seed, 50'000);
      RunUntil([&] { return pair.server.received_bytes() >= 50'000; });
      EXPECT_EQ(pair.server.Verdict(50'000), "exact");
      pair = Connect(left, right, Port(100 + seed++));
    }
  }
}

TEST_F(HostileFrontEndTest, ARingWithoutAKickIsServedOrNot) {
  Attacker attacker = NewAttacker();
  ASSERT_TRUE(attacker.front_end.Realize().ok());
  ASSERT_TRUE(attacker.DriverOk().ok());
  // The specification means polling by it, which a back-end need not do: the session may end here.
  (void)attacker.front_end.SetVringFd(VHOST_USER_SET_VRING_KICK, 1, -1);
  (void)attacker.front_end.SetVringFd(VHOST_USER_SET_VRING_CALL, 1, -1);
  (void)attacker.front_end.GetVringBase(1);
  attacker.wire().Close();
  RunUntilIdle();
  ExpectServed();
}

// Every order of three messages, from a session nobody prepared and from one that runs: no ring is used that is not
// set up, nothing crashes, and the socket serves the next one.
TEST_F(HostileFrontEndTest, MessagesInAnyOrder) {
  using Say = std::function<void(Attacker&)>;
  const std::vector<Say> messages = {
      [](Attacker& a) { (void)a.front_end.SetU64(VHOST_USER_SET_FEATURES, Bit(VIRTIO_F_VERSION_1)); },
      [](Attacker& a) { (void)a.front_end.SetMemTable(a.memory); },
      [](Attacker& a) { (void)a.SendTable(0, {}, {}); },
      [](Attacker& a) { (void)a.front_end.SetVringState(VHOST_USER_SET_VRING_NUM, 1, 256); },
      [](Attacker& a) { (void)a.front_end.SetVringState(VHOST_USER_SET_VRING_BASE, 1, 7); },
      [](Attacker& a) { (void)a.front_end.SetVringAddr(a.TxAddress()); },
      [](Attacker& a) { (void)a.front_end.SetVringFd(VHOST_USER_SET_VRING_KICK, 1, a.tx.kick_fd()); },
      [](Attacker& a) { (void)a.front_end.SetVringState(VHOST_USER_SET_VRING_ENABLE, 1, 1); },
      [](Attacker& a) { (void)a.front_end.SetVringState(VHOST_USER_SET_VRING_ENABLE, 1, 0); },
      [](Attacker& a) { (void)a.front_end.SetVringState(VHOST_USER_GET_VRING_BASE, 1, 0); },
      [](Attacker& a) { (void)a.Send(VHOST_USER_RESET_OWNER, {}); },
      [](Attacker& a) { (void)a.Send(VHOST_USER_RESET_DEVICE, {}); },
  };
  for (const bool running : {false, true}) {
    for (size_t order = 0; order < messages.size() * messages.size() * messages.size(); ++order) {
      Attacker attacker = NewAttacker();
      if (running) {
        const absl::Status realized = attacker.front_end.Realize();
        ASSERT_TRUE(realized.ok()) << realized << " in session " << order;
        ASSERT_TRUE(attacker.DriverOk().ok());
        const uint64_t buffer = attacker.memory.Allocate(4096);
        attacker.tx.Add(ChainBuilder().Readable(buffer, 44));
        attacker.tx.Publish();
      }
      attacker.tx.Kick();
      for (size_t rest = order, i = 0; i < 3; ++i, rest /= messages.size()) {
        messages[rest % messages.size()](attacker);
        attacker.tx.Kick();
      }
      attacker.wire().FinishSending();
      ASSERT_TRUE(attacker.wire().AwaitClose().ok());
    }
  }
  ExpectServed();
}

}  // namespace
}  // namespace kinsock::testing
