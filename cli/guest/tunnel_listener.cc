// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/tunnel_listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace kinsock {
namespace {

constexpr int kBacklog = 128;

// Milliseconds before another accept(), when one has failed for something that may pass.
constexpr int kAcceptPause = 100;

// 0, or an errno.
int Bind(int socket, const HostEndpoint& place) {
  if (place.kind == HostEndpoint::Kind::kTcp) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(socket, reinterpret_cast<const sockaddr*>(&place.address), place.address_bytes) == 0 ? 0 : errno;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (place.path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  memcpy(address.sun_path, place.path.data(), place.path.size());
  const mode_t others = umask(0077);  // from its first moment on; no other thread makes files
  const int error = bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  umask(others);
  return error;
}

}  // namespace

TunnelListener::TunnelListener(v1::TunnelOpen where, Report report)
    : where_(std::move(where)), report_(std::move(report)), stop_(eventfd(0, EFD_CLOEXEC)) {}

TunnelListener::~TunnelListener() {
  if (!path_.empty()) unlink(path_.c_str());
}

int TunnelListener::Listen(const HostEndpoint& place) {
  const bool is_tcp = place.kind == HostEndpoint::Kind::kTcp;
  listener_.reset(socket(is_tcp ? place.address.ss_family : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_.valid()) return errno;
  if (const int error = Bind(listener_.get(), place); error != 0) return error;
  if (!is_tcp) path_ = place.path;
  return listen(listener_.get(), kBacklog) == 0 ? 0 : errno;
}

int TunnelListener::Serve(v1::ConnectionService::Stub& stub) {
  int error = 0;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      one_less_.wait(lock, [this] { return stopped_ || open_ < kMaxConnections; });
      if (stopped_) break;
    }
    pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 || fds[1].revents != 0) continue;
    UniqueFd program(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!program.valid()) {
      error = errno;
      if (error == EBADF || error == EINVAL || error == ENOTSOCK) break;  // it is no listener any more
      // Nobody came after all, or descriptors or memory are short for a while: no reason to end those that are open.
      if (error != EAGAIN && error != EINTR) poll(&fds[1], 1, kAcceptPause);
      error = 0;
      continue;
    }
    PrepareForwardedSocket(program.get());
    const std::lock_guard<std::mutex> lock(mutex_);
    ++open_;
    std::thread([this, &stub, program = std::move(program)]() mutable { Carry(stub, std::move(program)); }).detach();
  }
  Stop();
  std::unique_lock<std::mutex> lock(mutex_);
  one_less_.wait(lock, [this] { return open_ == 0; });  // then no thread has to do with this any more
  return error;
}

void TunnelListener::Stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  eventfd_write(stop_.get(), 1);
  for (grpc::ClientContext* call : calls_) call->TryCancel();
  one_less_.notify_all();
}

void TunnelListener::Carry(v1::ConnectionService::Stub& stub, UniqueFd program) {
  {
    grpc::ClientContext context;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      calls_.insert(&context);
      if (stopped_) context.TryCancel();
    }
    const int fd = program.get();
    const TunnelOutcome outcome =
        RunTunnel(stub, context, where_,
                  {.in = fd, .out = fd, .stop = stop_.get(), .end_output = [fd] { shutdown(fd, SHUT_WR); }});
    const bool in_order = outcome.status.ok() && outcome.error == 0;
    if (!in_order) ResetOnClose(fd);
    program.reset();
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.erase(&context);
    if (!in_order && !stopped_) report_(outcome);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  --open_;
  one_less_.notify_all();
}

}  // namespace kinsock
