// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/forward_fixture.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/support/require.h"
#include "tests/support/unix_socket.h"

namespace kinsock::testing {
namespace {

sockaddr_storage Loopback(HostFamily family, socklen_t& bytes) {
  sockaddr_storage address{};
  if (family == HostFamily::kTcp4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bytes = sizeof(v4);
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    bytes = sizeof(v6);
  }
  return address;
}

}  // namespace

std::string NameOf(HostFamily family) {
  return family == HostFamily::kUnix ? "Unix" : family == HostFamily::kTcp4 ? "Tcp4" : "Tcp6";
}

HostListener HostListener::At(HostFamily family, const std::string& path, int backlog) {
  HostListener made;
  if (family == HostFamily::kUnix) {
    made.address.path = path;
    made.socket = ListenAt(path, backlog);
    return made;
  }
  socklen_t bytes = 0;
  made.address.kind = HostEndpoint::Kind::kTcp;
  made.address.address = Loopback(family, bytes);
  made.address.address_bytes = bytes;
  auto* address = reinterpret_cast<sockaddr*>(&made.address.address);
  made.socket = UniqueFd(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  Require(made.socket.valid() && bind(made.socket.get(), address, bytes) == 0, "bind to loopback");
  Require(listen(made.socket.get(), backlog) == 0, "listen");
  Require(getsockname(made.socket.get(), address, &bytes) == 0, "getsockname");
  return made;
}

std::optional<UniqueFd> HostListener::TryAccept() const {
  UniqueFd accepted(accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted.valid()) return std::nullopt;
  return accepted;
}

UniqueFd StartConnecting(const HostEndpoint& address) {
  if (address.kind == HostEndpoint::Kind::kUnix) return ConnectTo(address.path);
  UniqueFd fd(socket(address.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  Require(fd.valid(), "socket");
  const int result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.address), address.address_bytes);
  Require(result == 0 || errno == EINPROGRESS, "connect to loopback");
  return fd;
}

std::shared_ptr<Forward> ForwardTest::ForwardToGuest(Cid cid, Port guest_port, HostFamily family, bool proxy_header) {
  HostListener listener = HostListener::At(family, NewPath());
  auto forward = std::make_shared<Forward>();
  forward->vm = "vms/test";
  forward->direction = Forward::Direction::kToGuest;
  forward->guest_port = guest_port;
  forward->host = listener.address;
  forward->proxy_header = proxy_header;
  backend().AddForward(vm(cid), forward, std::move(listener.socket));
  return forward;
}

std::shared_ptr<Forward> ForwardTest::ForwardFromGuest(Cid cid, Port guest_port, const HostEndpoint& target,
                                                       bool proxy_header) {
  auto forward = std::make_shared<Forward>();
  forward->vm = "vms/test";
  forward->direction = Forward::Direction::kFromGuest;
  forward->guest_port = guest_port;
  forward->host = target;
  forward->proxy_header = proxy_header;
  backend().AddForward(vm(cid), forward, UniqueFd());
  return forward;
}

ForwardTest::HostPair ForwardTest::ConnectThrough(const Forward& forward, SimulatedGuest& guest) {
  guest.Listen(forward.guest_port);
  auto program = std::make_unique<HybridClient>(stage(), StartConnecting(forward.host));
  Stream stream = guest.Accept(forward.guest_port);
  return {std::move(program), stream};
}

ForwardTest::HostPair ForwardTest::CallThrough(const Forward& forward, SimulatedGuest& guest,
                                               const HostListener& target) {
  Stream stream = guest.Connect(kHostCid, forward.guest_port);
  std::optional<UniqueFd> accepted;
  RunUntil([&] { return accepted.has_value() || (accepted = target.TryAccept()).has_value(); });
  RunUntil([&] { return stream.established(); });
  return {std::make_unique<HybridClient>(stage(), accepted ? std::move(*accepted) : UniqueFd()), stream};
}

CloseReason ForwardTest::LastCloseReason() {
  const std::vector<FlowInfo> closed = backend().ClosedFlows();
  const auto last = std::max_element(closed.begin(), closed.end(),
                                     [](const FlowInfo& a, const FlowInfo& b) { return a.close_time < b.close_time; });
  return last == closed.end() ? CloseReason::kNone : last->close_reason;
}

ForwardWay::HostPair ForwardWay::ConnectBy(bool to_guest, HostFamily family, SimulatedGuest& guest) {
  const Cid cid = static_cast<Cid>(guest.cid());
  if (to_guest) {
    if (forward_ == nullptr) forward_ = ForwardToGuest(cid, 80, family);
    return ConnectThrough(*forward_, guest);
  }
  if (forward_ == nullptr) {
    target_ = HostListener::At(family, NewPath());
    forward_ = ForwardFromGuest(cid, 80, target_.address);
  }
  return CallThrough(*forward_, guest, target_);
}

void ForwardWay::TearDown() {
  target_.socket.reset();
  ForwardTest::TearDown();
}

}  // namespace kinsock::testing
