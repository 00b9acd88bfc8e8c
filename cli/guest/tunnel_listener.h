// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_GUEST_TUNNEL_LISTENER_H_
#define KINSOCK_CLI_GUEST_TUNNEL_LISTENER_H_

#include <grpcpp/client_context.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "base/unique_fd.h"
#include "cli/guest/tunnel.h"
#include "device/host_endpoint.h"

namespace kinsock {

// A socket of this machine each of whose connections becomes a tunnel to one port of a guest.
//
// Thread: Serve() runs on one, and starts one for each connection; Stop() is for any.
class TunnelListener {
 public:
  // Half of what the daemon lets one caller have (kMaxTunnelsPerCaller): it gives a place back a moment after the
  // client has the end of a tunnel, and the caller may have other tunnels. Beyond: they wait to be accepted.
  static constexpr size_t kMaxConnections = 16;

  // Called with each connection that did not come to its end in order, on its thread; one at a time.
  using Report = std::function<void(const TunnelOutcome&)>;

  TunnelListener(v1::TunnelOpen where, Report report);
  // Removes the socket's file.
  ~TunnelListener();
  TunnelListener(const TunnelListener&) = delete;
  TunnelListener& operator=(const TunnelListener&) = delete;

  // Binds `place`: a UNIX path, which may not exist and which only its owner may connect to, or a port of the loopback.
  // 0, or an errno.
  int Listen(const HostEndpoint& place);

  // Accepts and carries, until Stop(), before or after this; then ends all connections. 0, or the errno that ended it.
  int Serve(v1::ConnectionService::Stub& stub);
  void Stop();

 private:
  void Carry(v1::ConnectionService::Stub& stub, UniqueFd program);

  const v1::TunnelOpen where_;
  const Report report_;
  const UniqueFd stop_;  // eventfd; stays readable
  UniqueFd listener_;
  std::string path_;  // to be removed; empty: none

  std::mutex mutex_;
  std::condition_variable one_less_;
  std::set<grpc::ClientContext*> calls_;  // guarded by mutex_
  size_t open_ = 0;                       // likewise: connections, each with a thread
  bool stopped_ = false;                  // likewise
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_GUEST_TUNNEL_LISTENER_H_
