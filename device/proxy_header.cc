// SPDX-License-Identifier: Apache-2.0
#include "device/proxy_header.h"

#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr char kVersionAndProxy = 0x21;  // version 2, command PROXY
// Address family and, in the lower half, SOCK_STREAM.
constexpr char kTcp4 = 0x11, kTcp6 = 0x21, kUnix = 0x31;
constexpr size_t kUnixPathBytes = 108;
constexpr size_t kLongestValue = 1024;

void Append16(uint32_t value, std::string& out) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}

void Append32(uint32_t value, std::string& out) {
  Append16(value >> 16, out);
  Append16(value & 0xffff, out);
}

void AppendTlv(uint8_t type, std::string_view value, std::string& out) {
  value = value.substr(0, kLongestValue);
  out.push_back(static_cast<char>(type));
  Append16(static_cast<uint32_t>(value.size()), out);
  out.append(value);
}

template <typename Field>
void AppendRaw(const Field& field, std::string& out) {
  out.append(reinterpret_cast<const char*>(&field), sizeof(field));
}

// Returns the family's code.
char AppendAddresses(const sockaddr_storage& source, const sockaddr_storage& destination, std::string& out) {
  if (destination.ss_family == AF_INET) {
    const auto& from = reinterpret_cast<const sockaddr_in&>(source);
    const auto& to = reinterpret_cast<const sockaddr_in&>(destination);
    AppendRaw(from.sin_addr, out);
    AppendRaw(to.sin_addr, out);
    AppendRaw(from.sin_port, out);
    AppendRaw(to.sin_port, out);
    return kTcp4;
  }
  if (destination.ss_family == AF_INET6) {
    const auto& from = reinterpret_cast<const sockaddr_in6&>(source);
    const auto& to = reinterpret_cast<const sockaddr_in6&>(destination);
    AppendRaw(from.sin6_addr, out);
    AppendRaw(to.sin6_addr, out);
    AppendRaw(from.sin6_port, out);
    AppendRaw(to.sin6_port, out);
    return kTcp6;
  }
  for (const sockaddr_storage* end : {&source, &destination}) {
    out.append(reinterpret_cast<const sockaddr_un&>(*end).sun_path, kUnixPathBytes);
  }
  return kUnix;
}

void SetPath(const std::string& path, sockaddr_storage& out) {
  auto& address = reinterpret_cast<sockaddr_un&>(out);
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
}

}  // namespace

void ProxyHeader::SetAddresses(int fd, const HostEndpoint& host, bool accepted) {
  source = destination = {};
  if (host.kind == HostEndpoint::Kind::kUnix) {
    // Not what the kernel says: the socket may have been bound, or reached, by another name.
    SetPath(host.path, destination);
    source.ss_family = AF_UNIX;
    socklen_t size = sizeof(source);
    if (accepted) getpeername(fd, reinterpret_cast<sockaddr*>(&source), &size);
    return;
  }
  sockaddr_storage &own = accepted ? destination : source, &peer = accepted ? source : destination;
  socklen_t size = sizeof(own);
  getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
  size = sizeof(peer);
  getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size);
}

std::string ProxyHeader::Encode() const {
  std::string body;
  const char family = AppendAddresses(source, destination, body);
  AppendTlv(kUniqueId, absl::StrCat(connection), body);
  std::string addresses;
  for (const uint32_t field : {source_cid, source_port, destination_cid, destination_port}) {
    Append32(field, addresses);
  }
  AppendTlv(kVsockAddresses, addresses, body);
  AppendTlv(kVmName, vm, body);

  std::string out(kSignature);
  out.push_back(kVersionAndProxy);
  out.push_back(family);
  Append16(static_cast<uint32_t>(body.size()), out);
  return out + body;
}

}  // namespace kinsock
