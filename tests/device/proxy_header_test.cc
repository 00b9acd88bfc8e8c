// SPDX-License-Identifier: Apache-2.0
#include "device/proxy_header.h"

#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstring>
#include <string>

namespace kinsock {
namespace {

using std::string_literals::operator""s;

ProxyHeader Header() {
  return {.source_cid = 2,
          .source_port = 49152,
          .destination_cid = 3,
          .destination_port = 0x01020304,
          .connection = 12,
          .vm = "vms/a"};
}

const std::string kSignature = "\x0D\x0A\x0D\x0A\0\x0D\x0A\x51\x55\x49\x54\x0A"s;
const std::string kTlvs =
    "\x05\x00\x02"s
    "12"
    "\xE5\x00\x10"s
    "\0\0\0\x02\0\0\xC0\0\0\0\0\x03\x01\x02\x03\x04"s
    "\xE6\x00\x05vms/a"s;

TEST(ProxyHeaderTest, Tcp4) {
  ProxyHeader header = Header();
  for (sockaddr_storage* end : {&header.source, &header.destination}) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(*end);
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4.sin_port = htons(end == &header.source ? 0x1234 : 80);
  }
  EXPECT_EQ(header.Encode(), kSignature + "\x21\x11\x00\x2C\x7F\0\0\x01\x7F\0\0\x01\x12\x34\x00\x50"s + kTlvs);
}

TEST(ProxyHeaderTest, Tcp6) {
  ProxyHeader header = Header();
  for (sockaddr_storage* end : {&header.source, &header.destination}) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(*end);
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    v6.sin6_port = htons(end == &header.source ? 0x1234 : 80);
  }
  const std::string loopback = std::string(15, '\0') + "\x01";
  EXPECT_EQ(header.Encode(), kSignature + "\x21\x21\x00\x44"s + loopback + loopback + "\x12\x34\x00\x50"s + kTlvs);
}

TEST(ProxyHeaderTest, Unix) {
  ProxyHeader header = Header();
  HostEndpoint host;
  host.path = "/run/web.sock";
  header.SetAddresses(-1, host, /*accepted=*/false);
  EXPECT_EQ(header.Encode(), kSignature + "\x21\x31\x00\xF8"s + std::string(108, '\0') + host.path +
                                 std::string(108 - host.path.size(), '\0') + kTlvs);
}

}  // namespace
}  // namespace kinsock
