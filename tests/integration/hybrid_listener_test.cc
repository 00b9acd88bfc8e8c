// SPDX-License-Identifier: Apache-2.0
//
// A guest reaches a host program, or whatever else lies where one should listen.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/integration/hybrid_fixture.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;

TEST_F(HybridTest, AGuestReachesAHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  for (const Port port : {0u, 1u, 1234u, 65536u, 0xffff'fffeu}) {
    HostPair pair = ConnectToHost(guest, port);
    Exchange(pair, 1, 200'000);
  }
}

TEST_F(HybridTest, NoHostProgramNoConnection) {
  SimulatedGuest& guest = Boot(Cid(3));
  const std::string base = uds_path(3) + "_";
  std::ofstream(base + "1") << "a regular file";
  ASSERT_EQ(mkdir((base + "2").c_str(), 0700), 0);
  ASSERT_EQ(mkfifo((base + "3").c_str(), 0600), 0);
  { HybridListener gone(uds_path(3), 4); }  // its socket file stays behind
  HybridListener elsewhere(uds_path(3) + "-elsewhere", 5);
  ASSERT_EQ(symlink(elsewhere.path().c_str(), (base + "5").c_str()), 0);
  ASSERT_EQ(symlink("/dev/zero", (base + "6").c_str()), 0);
  ASSERT_EQ(symlink((base + "7").c_str(), (base + "7").c_str()), 0);

  for (Port port = 0; port <= 7; ++port) {
    SCOPED_TRACE(port);
    Stream call = guest.Connect(2, port);
    RunUntil([&] { return call.closed(); });
    EXPECT_TRUE(call.was_reset());
  }
  EXPECT_FALSE(elsewhere.TryAccept().has_value());
  EXPECT_THAT(switch_flows(), IsEmpty());
}

TEST_F(HybridTest, ADatagramSocketIsNoListener) {
  SimulatedGuest& guest = Boot(Cid(3));
  const UniqueFd datagram(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (uds_path(3) + "_80").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(datagram.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  Stream call = guest.Connect(2, Port(80));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
}

TEST_F(HybridTest, AFullBacklogIsARefusalAndDelaysNobody) {
  SimulatedGuest& guest = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  HybridListener busy(uds_path(3), 80, 0);
  std::vector<Stream> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(guest.Connect(2, Port(80)));
  Connect(guest, sibling, Port(90));
  RunUntil([&] { return calls.back().closed(); });
  EXPECT_TRUE(calls.back().was_reset());
}

TEST_F(HybridTest, AVmWithoutAHostSideReachesNoHostProgram) {
  Backend::VmOptions alone;
  alone.host_side = false;
  SimulatedGuest& guest = Boot(Cid(3), {}, alone);
  Stream call = guest.Connect(2, Port(80));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
}

}  // namespace
}  // namespace kinsock::testing
