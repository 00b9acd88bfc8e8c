// SPDX-License-Identifier: Apache-2.0
//
// Messages that the vhost-user protocol does not allow: the session ends, nothing is leaked, nobody else notices, and
// the next front-end is served.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "tests/integration/front_end_attacker.h"

namespace kinsock::testing {
namespace {

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
  // What is no eventfd, or no socket, could make the back-end wait.
  offences.push_back({"APipeForTheBackChannel", [](Attacker& a) {
                        int ends[2];
                        if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
                        const UniqueFd reader(ends[0]), writer(ends[1]);
                        return a.Send(VHOST_USER_SET_SLAVE_REQ_FD, {}, {writer.get()});
                      }});
  offences.push_back({"AnEventFdForTheBackChannel",
                      [](Attacker& a) { return a.Send(VHOST_USER_SET_SLAVE_REQ_FD, {}, {a.tx.kick_fd()}); }});
  for (const uint32_t request : {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR}) {
    offences.push_back({"APipeForAnEventFd", [=](Attacker& a) {
                          int ends[2];
                          if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
                          const UniqueFd reader(ends[0]), writer(ends[1]);
                          return a.front_end.SetVringFd(request, 1, writer.get());
                        }});
    offences.push_back(
        {"AFileForAnEventFd", [=](Attacker& a) { return a.front_end.SetVringFd(request, 1, a.memory.fd()); }});
  }
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

}  // namespace
}  // namespace kinsock::testing
