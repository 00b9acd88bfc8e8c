// SPDX-License-Identifier: Apache-2.0
//
// The PROXY header that a forward puts in front of a connection's bytes: whole and first, whatever the receiver's
// windows and buffers are like.
#include <arpa/inet.h>

#include <map>
#include <string>

#include "tests/integration/forward_fixture.h"

namespace kinsock::testing {
namespace {

using ::testing::StartsWith;

// The header as a receiver reads it, straight from the specification of the protocol ("The PROXY protocol, versions 1 &
// 2", section 2.2).
struct ReadHeader {
  bool complete = false;
  uint8_t version_and_command = 0;
  uint8_t family = 0;
  std::string source, destination;  // addresses: "127.0.0.1:80", "[::1]:80", paths
  std::map<uint8_t, std::string> tlvs;
  std::string rest;  // of the stream
};

uint16_t Big16(const std::string& bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

std::string Big32(uint32_t value) {
  const uint32_t big = htonl(value);
  return std::string(reinterpret_cast<const char*>(&big), sizeof(big));
}

std::string Text(int family, const std::string& address, uint16_t port) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, address.data(), text, sizeof(text));
  return (family == AF_INET6 ? "[" + std::string(text) + "]" : std::string(text)) + ":" + std::to_string(port);
}

ReadHeader Read(const std::string& stream) {
  ReadHeader read;
  const std::string signature("\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A", 12);
  if (stream.size() < 16 || stream.compare(0, 12, signature) != 0) return read;
  read.version_and_command = static_cast<uint8_t>(stream[12]);
  read.family = static_cast<uint8_t>(stream[13]);
  const size_t length = Big16(stream, 14);
  if (stream.size() < 16 + length) return read;
  std::string body = stream.substr(16, length);
  read.rest = stream.substr(16 + length);
  const size_t address = read.family == 0x11 ? 4 : read.family == 0x21 ? 16 : 108;
  const size_t addresses = read.family == 0x31 ? 216 : 2 * address + 4;
  if (body.size() < addresses) return read;
  if (read.family == 0x31) {
    read.source = body.substr(0, 108).c_str();
    read.destination = body.substr(108, 108).c_str();
  } else {
    const int family = read.family == 0x11 ? AF_INET : AF_INET6;
    read.source = Text(family, body.substr(0, address), Big16(body, 2 * address));
    read.destination = Text(family, body.substr(address, address), Big16(body, 2 * address + 2));
  }
  for (size_t at = addresses; at + 3 <= body.size(); at += 3u + Big16(body, at + 1)) {
    read.tlvs[static_cast<uint8_t>(body[at])] = body.substr(at + 3, Big16(body, at + 1));
  }
  read.complete = true;
  return read;
}

std::string NameOf(const HostEndpoint& address) {
  if (address.kind == HostEndpoint::Kind::kUnix) return address.path;
  if (address.address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.address);
    return Text(AF_INET, std::string(reinterpret_cast<const char*>(&v4.sin_addr), 4), ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.address);
  return Text(AF_INET6, std::string(reinterpret_cast<const char*>(&v6.sin6_addr), 16), ntohs(v6.sin6_port));
}

class ForwardProxyTest : public ForwardTest, public ::testing::WithParamInterface<HostFamily> {
 protected:
  static uint8_t FamilyCode() {
    return GetParam() == HostFamily::kUnix ? 0x31 : GetParam() == HostFamily::kTcp4 ? 0x11 : 0x21;
  }
  // The far end of the connection on the host's socket, as its near end names it.
  static void ExpectSource(const ReadHeader& header) {
    if (GetParam() == HostFamily::kUnix) EXPECT_EQ(header.source, "");
    if (GetParam() == HostFamily::kTcp4) EXPECT_THAT(header.source, StartsWith("127.0.0.1:"));
    if (GetParam() == HostFamily::kTcp6) EXPECT_THAT(header.source, StartsWith("[::1]:"));
  }
};
INSTANTIATE_TEST_SUITE_P(Families, ForwardProxyTest,
                         ::testing::Values(HostFamily::kUnix, HostFamily::kTcp4, HostFamily::kTcp6));

TEST_P(ForwardProxyTest, TheGuestLearnsWhoConnected) {
  SimulatedGuest& guest = Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, GetParam(), /*proxy_header=*/true);
  HostPair pair = ConnectThrough(*forward, guest);
  // The header comes although the program has not said anything yet.
  RunUntil([&] { return Read(pair.guest.Received()).complete; });
  pair.program->Send("hello");
  RunUntil([&] { return Read(pair.guest.Received()).rest == "hello"; });
  const ReadHeader header = Read(pair.guest.Received());
  EXPECT_EQ(header.version_and_command, 0x21);
  EXPECT_EQ(header.family, FamilyCode());
  ExpectSource(header);
  EXPECT_EQ(header.destination, NameOf(forward->host));
  const std::vector<FlowInfo> flows = switch_flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(header.tlvs.at(0x05), std::to_string(flows.front().id));
  EXPECT_EQ(header.tlvs.at(0xE5), Big32(2) + Big32(flows.front().initiator.port) + Big32(3) + Big32(80));
  EXPECT_EQ(header.tlvs.at(0xE6), "vms/test");

  pair.guest.Send("and back");
  RunUntil([&] { return pair.program->Received() == "and back"; });
}

TEST_P(ForwardProxyTest, TheHostProgramLearnsWhichGuestCalls) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostListener target = HostListener::At(GetParam(), NewPath());
  const auto forward = ForwardFromGuest(Cid(3), 80, target.address, /*proxy_header=*/true);
  HostPair pair = CallThrough(*forward, guest, target);
  pair.guest.Send("hello");
  RunUntil([&] { return Read(pair.program->Received()).rest == "hello"; });
  const ReadHeader header = Read(pair.program->Received());
  EXPECT_EQ(header.family, FamilyCode());
  ExpectSource(header);
  EXPECT_EQ(header.destination, NameOf(target.address));
  EXPECT_EQ(header.tlvs.at(0xE5), Big32(3) + Big32(pair.guest.connection().key().local_port) + Big32(2) + Big32(80));
  EXPECT_EQ(header.tlvs.at(0xE6), "vms/test");

  pair.program->Send("and back");
  RunUntil([&] { return pair.guest.Received() == "and back"; });
  // The header is none of the guest's bytes: its credit is what it was.
  pair.guest.SendPattern(1, 1u << 20);
  RunUntil([&] { return Read(pair.program->Received()).rest.size() == 5 + (1u << 20); });
}

TEST_F(ForwardTest, AHeaderLargerThanTheGuestsWindowComesInPieces) {
  GuestOptions options;
  options.window = 64;
  SimulatedGuest& guest = Boot(Cid(3), options);
  const auto forward = ForwardToGuest(Cid(3), 80, HostFamily::kUnix, /*proxy_header=*/true);
  HostPair pair = ConnectThrough(*forward, guest);
  pair.program->Send("hello");
  RunUntil([&] { return Read(pair.guest.Received()).rest == "hello"; });
}

TEST_F(ForwardTest, AHeaderLargerThanAReceiveBufferComesInPieces) {
  GuestOptions options;
  options.rx_buffer_bytes = 45;  // one byte in each
  SimulatedGuest& guest = Boot(Cid(3), options);
  const auto forward = ForwardToGuest(Cid(3), 80, HostFamily::kUnix, /*proxy_header=*/true);
  HostPair pair = ConnectThrough(*forward, guest);
  pair.program->Send("hello");
  RunUntil([&] { return Read(pair.guest.Received()).rest == "hello"; });
}

TEST_F(ForwardTest, AHeaderWaitsForBuffers) {
  SimulatedGuest& guest = Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, HostFamily::kTcp4, /*proxy_header=*/true);
  for (int i = 0; i < 20; ++i) {
    guest.StopPosting();
    guest.Listen(80);
    HybridClient program(stage(), StartConnecting(forward->host));
    program.Send("hello");
    program.ShutdownSend();
    RunUntilIdle();
    guest.ResumePosting();
    Stream stream = guest.Accept(80);
    RunUntil([&] { return stream.at_eof(); });
    EXPECT_EQ(Read(stream.Received()).rest, "hello");
  }
}

}  // namespace
}  // namespace kinsock::testing
