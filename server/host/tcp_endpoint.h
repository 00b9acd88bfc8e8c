// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_TCP_ENDPOINT_H_
#define KINSOCK_SERVER_HOST_TCP_ENDPOINT_H_

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace kinsock {

// An address of this machine in the Internet's families, in numbers: no name service is asked.
class TcpEndpoint {
 public:
  // Whether `endpoint` means one: "tcp:...".
  static bool IsTcp(std::string_view endpoint);

  // "tcp:127.0.0.1:7443", "tcp:[::1]:7443". INVALID_ARGUMENT: what is wrong, in words that follow the setting's name.
  static absl::StatusOr<TcpEndpoint> Parse(std::string_view endpoint);

  // One whose address the kernel has given. Precondition: it is of AF_INET or AF_INET6.
  static TcpEndpoint Of(const sockaddr_storage& address, socklen_t length);

  // A non-blocking socket that listens there; `setting` is named in errors. ALREADY_EXISTS when somebody else does;
  // FAILED_PRECONDITION when the machine does not have the address or does not give the port.
  absl::StatusOr<UniqueFd> Listen(int backlog, std::string_view setting = "--api") const;
  // The same for what no setting asks for: the errors are the kernel's.
  absl::StatusOr<UniqueFd> TryListen(int backlog) const;

  // As it was given, without "tcp:".
  const std::string& text() const { return text_; }

  const sockaddr_storage& address() const { return address_; }
  socklen_t length() const { return length_; }
  uint16_t port() const;
  // Only programs of this machine reach it.
  bool is_loopback() const;
  // How the registry of sockets knows it: "tcp:127.0.0.1:80", and "tcp:*:80" for all addresses.
  std::string place() const;

 private:
  std::string text_;
  sockaddr_storage address_{};
  socklen_t length_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_TCP_ENDPOINT_H_
