// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_FORWARD_PLACE_H_
#define KINSOCK_SERVER_MANAGER_FORWARD_PLACE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "device/host_endpoint.h"
#include "server/host/bound_socket.h"
#include "server/host/socket_dirs.h"
#include "server/host/socket_registry.h"
#include "server/model/forward_spec.h"
#include "server/status/error.h"

namespace kinsock {

// What a forward has of the host: the socket where it listens, or the one that it leads to, and its place in the
// registry. With this object go the file and the place.
//
// Thread: main.
class ForwardPlace {
 public:
  // Looks whether it can be had; makes nothing. `spec` has no fault. What the file system refuses is added to
  // `violations`; what somebody else has is returned: SOCKET_PATH_BUSY, TCP_PORT_BUSY. `within`: below which
  // directories UNIX sockets must lie; null, or without any: anywhere.
  static absl::Status Check(const ForwardSpec& spec, const SocketRegistry& registry, const SocketDirs* within,
                            std::vector<FieldViolation>& violations);

  // Listens there, or keeps others from it. `registry` outlives the place. Errors: as Check(), BoundSocket::Listen()
  // and SOCKET_FAILED.
  static absl::StatusOr<ForwardPlace> Take(const ForwardSpec& spec, const std::string& holder, SocketRegistry& registry,
                                           const SocketDirs* within);

  ForwardPlace(ForwardPlace&& other) noexcept;
  ForwardPlace& operator=(ForwardPlace&& other) noexcept;
  ~ForwardPlace() { Release(); }

  const HostEndpoint& endpoint() const { return endpoint_; }
  UniqueFd TakeListener() { return socket_.TakeListener(); }  // invalid: it leads there

  // Takes the file away, so that nobody new connects; the place stays reserved.
  void RemoveFile() { socket_.Remove(); }

 private:
  ForwardPlace(SocketRegistry& registry, std::string holder) : registry_(&registry), holder_(std::move(holder)) {}
  void Release();

  SocketRegistry* registry_;  // not owned
  std::string holder_;
  HostEndpoint endpoint_;
  std::string taken_;   // in the registry; empty: nothing
  std::string target_;  // likewise
  BoundSocket socket_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_FORWARD_PLACE_H_
