// SPDX-License-Identifier: Apache-2.0
#include "bench/host_program.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/unix_address.h"
#include "bench/load.h"

namespace kinsock::bench {
namespace {

[[noreturn]] void FailErrno(const std::string& what) { Fail(absl::StrCat(what, ": ", std::strerror(errno))); }

sockaddr_un Address(const std::string& path) {
  const std::optional<sockaddr_un> address = UnixAddress(path);
  if (path.empty() || !address.has_value()) Fail("--uds-path is missing or too long");
  return *address;
}

}  // namespace

UniqueFd ConnectTo(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address(path);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) FailErrno("connect");
  return fd;
}

UniqueFd ListenAt(const std::string& path) {
  unlink(path.c_str());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address(path);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) FailErrno("bind");
  if (listen(fd.get(), 128) != 0) FailErrno("listen");
  return fd;
}

UniqueFd AskForPort(const std::string& uds_path, uint32_t port) {
  UniqueFd fd = ConnectTo(uds_path);
  const std::string line = absl::StrCat("CONNECT ", port, "\n");
  if (write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) FailErrno("CONNECT");
  return fd;
}

uint32_t AwaitOk(const UniqueFd& fd) {
  std::string answer;
  char byte = 0;
  while (byte != '\n' && answer.size() < 32) {
    if (read(fd.get(), &byte, 1) != 1) return 0;
    answer.push_back(byte);
  }
  absl::string_view port = answer;
  uint32_t number = 0;
  if (!absl::ConsumePrefix(&port, "OK ") || !absl::SimpleAtoi(port, &number)) return 0;
  return number;
}

}  // namespace kinsock::bench
