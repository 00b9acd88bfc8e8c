// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/guest/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "tests/e2e/guest/report.h"

namespace kinsock::guest {
namespace {

// The tests open their crowds at once; nobody shall be refused for that.
constexpr int kBacklog = 1024;

sockaddr_vm SocketAddress(Address address) {
  sockaddr_vm result = {};
  result.svm_family = AF_VSOCK;
  result.svm_cid = address.cid;
  result.svm_port = address.port;
  return result;
}

int NewSocket(int type) {
  const int fd = socket(AF_VSOCK, type | SOCK_CLOEXEC, 0);
  if (fd < 0) Fail("socket", {{"errno", ErrnoName(errno)}});
  return fd;
}

}  // namespace

Stream::~Stream() {
  if (fd_ >= 0) close(fd_);
}

int Stream::Write(std::span<const std::byte> bytes, uint64_t* written) {
  while (!bytes.empty()) {  // a message is taken whole
    const ssize_t taken = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return errno;
    if (written != nullptr) *written += static_cast<uint64_t>(taken);
    bytes = bytes.subspan(static_cast<size_t>(taken));
  }
  return 0;
}

Stream::ReadResult Stream::Read(std::span<std::byte> into) {
  ssize_t bytes;
  do {
    bytes = recv(fd_, into.data(), into.size(), 0);
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) return {0, errno};
  return {static_cast<size_t>(bytes), 0};
}

void Stream::FinishSending() {
  if (shutdown(fd_, SHUT_WR) != 0) Fail("shutdown", {{"errno", ErrnoName(errno)}});
}

Listener::Listener(uint32_t port, int type) : fd_(NewSocket(type)) {
  const sockaddr_vm address = SocketAddress({VMADDR_CID_ANY, port});
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || listen(fd_, kBacklog) != 0) {
    Fail("listen", {{"errno", ErrnoName(errno)}, {"port", std::to_string(port)}});
  }
  Report("listening", {{"port", std::to_string(port)}});
}

Listener::~Listener() { close(fd_); }

Stream Listener::Accept() {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) Fail("accept", {{"errno", ErrnoName(errno)}});
  return Stream(fd);
}

ConnectResult TryConnect(Address to, int type) {
  const sockaddr_vm address = SocketAddress(to);
  ConnectResult result{Stream(NewSocket(type)), 0};
  if (connect(result.stream.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    result.error = errno;
  }
  return result;
}

Stream Connect(Address to, int type) {
  ConnectResult result = TryConnect(to, type);
  if (result.error != 0) {
    Fail("connect",
         {{"errno", ErrnoName(result.error)}, {"cid", std::to_string(to.cid)}, {"port", std::to_string(to.port)}});
  }
  return std::move(result.stream);
}

Stream OpenStream(const Options& options) {
  if (options.connect_to) {
    Stream stream = Connect(*options.connect_to, SocketType(options));
    Report("connected", {});
    return stream;
  }
  if (!options.listen_port) Fail("usage", {{"missing", "--listen or --connect"}});
  Stream stream = Listener(*options.listen_port, SocketType(options)).Accept();
  Report("accepted", {});
  return stream;
}

}  // namespace kinsock::guest
