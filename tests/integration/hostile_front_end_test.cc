// SPDX-License-Identifier: Apache-2.0
//
// Front-ends that send what the vhost-user protocol does not allow: the session ends or the message is refused, nothing
// is leaked, nobody else notices, and the next front-end is served.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

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
  HostileFrontEndTest() { AddVm(Cid(3)); }

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

// --- Messages for which the session ends, each from a front-end that was good so far.

struct Offence {
  const char* name;
  std::function<absl::Status(Attacker&)> commit;
};

// A message about ring `index` for each request that has one.
std::vector<Offence> WrongIndexes() {
  std::vector<Offence> offences;
  for (const uint32_t index : {3u, 0xffu, 0x10000u, 0x10001u, 0xffff'ffffu}) {
    for (const uint32_t request : {VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE, VHOST_USER_GET_VRING_BASE,
                                   VHOST_USER_SET_VRING_ENABLE}) {
      offences.push_back({"IndexInState", [=](Attacker& a) {
                            return a.front_end.SetVringState(request, index,
                                                             request == VHOST_USER_SET_VRING_NUM ? 128 : 0);
                          }});
    }
    offences.push_back({"IndexInAddress", [=](Attacker& a) {
                          vhost_vring_addr address = a.TxAddress();
                          address.index = index;
                          return a.front_end.SetVringAddr(address);
                        }});
  }
  for (const uint32_t request : {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR}) {
    for (const uint64_t index : {3u, 0xffu}) {
      offences.push_back(
          {"IndexOfDescriptor", [=](Attacker& a) { return a.front_end.SetVringFd(request, index, a.tx.kick_fd()); }});
      offences.push_back(
          {"IndexWithoutDescriptor", [=](Attacker& a) { return a.front_end.SetVringFd(request, index, -1); }});
    }
  }
  return offences;
}

std::vector<Offence> WrongRings() {
  std::vector<Offence> offences;
  for (const uint32_t num : {0u, 3u, 100u, 65536u, 0x8000'0000u, 0xffff'ffffu}) {
    offences.push_back(
        {"RingSize", [=](Attacker& a) { return a.front_end.SetVringState(VHOST_USER_SET_VRING_NUM, 1, num); }});
  }
  for (const uint32_t base : {0x10000u, 0xffff'ffffu}) {
    offences.push_back(
        {"RingBase", [=](Attacker& a) { return a.front_end.SetVringState(VHOST_USER_SET_VRING_BASE, 1, base); }});
  }
  // Addresses are known to be wrong once memory and size are: at the latest when the ring starts.
  const auto address = [&](const char* name, std::function<void(vhost_vring_addr&, Attacker&)> spoil) {
    offences.push_back({name, [spoil](Attacker& a) {
                          KINSOCK_RETURN_IF_ERROR(a.front_end.SetMemTable(a.memory));
                          KINSOCK_RETURN_IF_ERROR(a.front_end.SetVringState(VHOST_USER_SET_VRING_NUM, 1, 128));
                          KINSOCK_RETURN_IF_ERROR(a.front_end.SetVringState(VHOST_USER_SET_VRING_BASE, 1, 0));
                          vhost_vring_addr wrong = a.TxAddress();
                          spoil(wrong, a);
                          KINSOCK_RETURN_IF_ERROR(a.front_end.SetVringAddr(wrong));
                          KINSOCK_RETURN_IF_ERROR(a.front_end.SetVringFd(VHOST_USER_SET_VRING_KICK, 1, a.tx.kick_fd()));
                          return a.front_end.SetVringState(VHOST_USER_SET_VRING_ENABLE, 1, 1);
                        }});
  };
  address("DescriptorsNowhere", [](auto& w, auto&) { w.desc_user_addr = 0x1000; });
  address("AvailableNowhere", [](auto& w, auto&) { w.avail_user_addr = 0; });
  address("UsedNowhere", [](auto& w, auto&) { w.used_user_addr = ~uint64_t{0} - 7; });
  address("DescriptorsMisaligned", [](auto& w, auto&) { w.desc_user_addr += 8; });
  address("AvailableMisaligned", [](auto& w, auto&) { w.avail_user_addr += 1; });
  address("UsedMisaligned", [](auto& w, auto&) { w.used_user_addr += 2; });
  address("DescriptorsOverTheEnd", [](auto& w, Attacker& a) {
    const SharedMemory::Region& last = a.memory.regions().back();
    w.desc_user_addr = last.user_address + last.size - 16;
  });
  address("UsedOverTheEnd", [](auto& w, Attacker& a) {
    const SharedMemory::Region& last = a.memory.regions().back();
    w.used_user_addr = last.user_address + last.size - 16;
  });
  return offences;
}

std::vector<Offence> WrongTables() {
  const auto rows = [](const char* name, std::function<void(std::vector<VhostUserRegion>&)> spoil) {
    return Offence{name, [spoil](Attacker& a) {
                     std::vector<VhostUserRegion> table = {{0, 1u << 20, 0x7000'0000, 0},
                                                           {1u << 20, 1u << 20, 0x7010'0000, 1u << 20}};
                     spoil(table);
                     std::vector<int> fds(table.size(), a.memory.fd());
                     return a.SendTable(static_cast<uint32_t>(table.size()), table, fds);
                   }};
  };
  const auto descriptor = [](const char* name, std::function<UniqueFd()> make) {
    return Offence{name, [make](Attacker& a) {
                     const UniqueFd odd = make();
                     return a.SendTable(1, {{0, 4096, 0x7000'0000, 0}}, {odd.get()});
                   }};
  };
  const VhostUserRegion good{0, 4096, 0x7000'0000, 0};
  return {
      rows("SizeZero", [](auto& t) { t[0].size = 0; }),
      rows("GuestAddressWraps", [](auto& t) { t[1].guest_address = ~uint64_t{0} - 0xfff; }),
      rows("UserAddressWraps", [](auto& t) { t[1].user_address = ~uint64_t{0} - 0xfff; }),
      rows("OffsetWraps", [](auto& t) { t[1].mmap_offset = ~uint64_t{0} - 0xfff; }),
      rows("SizeOfEverything", [](auto& t) { t[1].size = ~uint64_t{0}; }),
      rows("BeyondTheFile", [](auto& t) { t[1].size = 1u << 30; }),
      rows("OffsetBeyondTheFile", [](auto& t) { t[1].mmap_offset = 1u << 30; }),
      rows("GuestAddressesOverlap", [](auto& t) { t[1].guest_address = 4096; }),
      {"NineRows", [=](Attacker& a) { return a.SendTable(9, {good}, {a.memory.fd()}); }},
      {"ManyRows", [=](Attacker& a) { return a.SendTable(0xffff'ffff, {good}, {a.memory.fd()}); }},
      {"MoreRowsThanDescriptors",
       [=](Attacker& a) {
         return a.SendTable(2, {good, good}, {a.memory.fd()});
       }},
      {"FewerRowsThanDescriptors",
       [=](Attacker& a) {
         return a.SendTable(1, {good}, {a.memory.fd(), a.memory.fd()});
       }},
      {"NoDescriptor", [=](Attacker& a) { return a.SendTable(1, {good}, {}); }},
      {"RowsMissing",
       [=](Attacker& a) {
         return a.SendTable(2, {good}, {a.memory.fd(), a.memory.fd()});
       }},
      descriptor("APipe",
                 [] {
                   int ends[2] = {-1, -1};
                   if (pipe2(ends, O_CLOEXEC) == 0) close(ends[1]);
                   return UniqueFd(ends[0]);
                 }),
      descriptor("ADevice", [] { return UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC)); }),
      descriptor("AnEventFd", [] { return UniqueFd(eventfd(0, EFD_CLOEXEC)); }),
      descriptor("ADirectory", [] { return UniqueFd(open("/tmp", O_RDONLY | O_CLOEXEC)); }),
      descriptor("AnEmptyFile", [] { return UniqueFd(memfd_create("empty", MFD_CLOEXEC)); }),
  };
}

absl::Status SendHeader(Attacker& a, VhostUserHeader header, std::string_view body = {}) {
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += body;
  return a.wire().SendBytes(AsBytes(bytes));
}

std::vector<Offence> WrongMessages() {
  const uint64_t value = 0;
  const std::string eight(8, '\0');
  return {
      {"RequestZero", [](Attacker& a) { return a.Send(0, {}); }},
      {"Request999", [](Attacker& a) { return a.Send(999, {}); }},
      {"RequestMax", [](Attacker& a) { return a.Send(0xffff'ffff, {}); }},
      {"VersionZero",
       [](Attacker& a) {
         return SendHeader(a, {VHOST_USER_GET_FEATURES, 0, 0});
       }},
      {"VersionThree",
       [](Attacker& a) {
         return SendHeader(a, {VHOST_USER_GET_FEATURES, 3, 0});
       }},
      {"AReply",
       [](Attacker& a) {
         return SendHeader(a, {VHOST_USER_GET_FEATURES, kVhostUserVersion | kVhostUserReply, 0});
       }},
      {"SizeMax",
       [](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_FEATURES, 1, 0xffff'ffff});
       }},
      {"SizeLarge",
       [](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_FEATURES, 1, 1u << 20});
       }},
      {"TooLong",
       [=](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_FEATURES, 1, 16}, eight + eight);
       }},
      {"TooShort",
       [=](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_FEATURES, 1, 4}, "abcd");
       }},
      {"PayloadWhereNone",
       [=](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_OWNER, 1, 8}, eight);
       }},
      {"StateTooShort",
       [=](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_VRING_NUM, 1, 4}, "abcd");
       }},
      {"AddressTooShort",
       [=](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_VRING_ADDR, 1, 8}, eight);
       }},
      {"TableTooShort",
       [=](Attacker& a) {
         return SendHeader(a, {VHOST_USER_SET_MEM_TABLE, 1, 4}, "abcd");
       }},
      {"ConfigTooShort",
       [=](Attacker& a) {
         return SendHeader(a, {VHOST_USER_GET_CONFIG, 1, 8}, eight);
       }},
      {"LogBaseNotOffered",
       [](Attacker& a) {
         const uint64_t log[2] = {4096, 0};
         return a.Send(VHOST_USER_SET_LOG_BASE, AsBytes(log), {a.memory.fd()});
       }},
      {"InflightNotOffered",
       [](Attacker& a) {
         const uint64_t inflight[3] = {0, 0, 0x0080'ffff};
         return a.Send(VHOST_USER_GET_INFLIGHT_FD, AsBytes(inflight));
       }},
      {"HalfAHeader",
       [](Attacker& a) {
         const std::string half("\1\0\0\0\1\0", 6);
         KINSOCK_RETURN_IF_ERROR(a.wire().SendBytes(AsBytes(half)));
         a.wire().FinishSending();
         return absl::OkStatus();
       }},
      {"HalfAPayload",
       [](Attacker& a) {
         KINSOCK_RETURN_IF_ERROR(SendHeader(a, {VHOST_USER_SET_FEATURES, 1, 8}, "abc"));
         a.wire().FinishSending();
         return absl::OkStatus();
       }},
      {"FeaturesNotOffered", [](Attacker& a) { return a.front_end.SetU64(VHOST_USER_SET_FEATURES, ~uint64_t{0}); }},
      {"ProtocolFeaturesNotOffered",
       [=](Attacker& a) { return a.front_end.SetU64(VHOST_USER_SET_PROTOCOL_FEATURES, ~value); }},
  };
}

std::vector<Offence> AllOffences() {
  std::vector<Offence> all;
  for (const auto& list : {WrongIndexes(), WrongRings(), WrongTables(), WrongMessages()}) {
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

class OffenceTest : public HostileFrontEndTest, public ::testing::WithParamInterface<size_t> {};
INSTANTIATE_TEST_SUITE_P(All, OffenceTest, ::testing::Range(size_t{0}, AllOffences().size()),
                         [](const auto& info) { return AllOffences()[info.param].name + std::to_string(info.param); });

TEST_P(OffenceTest, EndsTheSessionAndNothingElse) {
  RunUntilIdle();
  const size_t descriptors = OpenDescriptors();
  const size_t mappings = Mappings();
  for (const bool realized : {true, false}) {
    Attacker attacker = NewAttacker();
    if (realized) {
      ASSERT_TRUE(attacker.front_end.Realize().ok());
    }
    (void)AllOffences()[GetParam()].commit(attacker);  // the back-end may close before all of it is sent
    const absl::Status closed = attacker.wire().AwaitClose(std::chrono::seconds(5));
    EXPECT_TRUE(closed.ok()) << closed << (realized ? " (after realize)" : "");
  }
  // The allocator may have mapped something meanwhile; a table left behind would be more.
  RunUntil([&] { return OpenDescriptors() <= descriptors && Mappings() <= mappings + 8; });
  ExpectServed();
}

// --- What must not end it.

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
  ASSERT_TRUE(attacker.front_end.SetVringFd(VHOST_USER_SET_VRING_KICK, 1, -1).ok());
  ASSERT_TRUE(attacker.front_end.SetVringFd(VHOST_USER_SET_VRING_CALL, 1, -1).ok());
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
