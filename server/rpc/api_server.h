// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_SERVER_H_
#define KINSOCK_SERVER_RPC_API_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "server/host/tls_files.h"
#include "server/rpc/api_metrics.h"
#include "server/rpc/calls_under_way.h"
#include "server/rpc/health_service.h"
#include "server/rpc/reflection_service.h"

namespace kinsock {

// The gRPC server: our services, health and reflection, and the bounds of api_limits.h. It listens nowhere;
// connections are given to it. The first one starts the library's threads.
//
// Thread: main, but for Shutdown().
class ApiServer {
 public:
  // Who may ask for what everybody may know, and how much of that.
  struct Admission {
    AdmitSchema schema;
    AdmitHealth health;
  };

  // None of `services` is owned; they outlive the server, as does `metrics`, which counts the calls. With `tls`,
  // ServeTls() works, too; clients must show a certificate then. INTERNAL when the library refuses.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(const std::vector<grpc::Service*>& services,
                                                          ApiMetrics& metrics,
                                                          const std::optional<TlsFiles>& tls = std::nullopt,
                                                          Admission admission = {});

  // Serves HTTP/2 on a connected, non-blocking socket, and closes it in the end.
  void Serve(UniqueFd connection);

  // The same after a TLS handshake. Connections that exist when the files change stay.
  void ServeTls(UniqueFd connection);

  // What the health service answers for "", for each service, and for kinsock.dataplane.
  void SetServing(bool serving);

  // The same for kinsock.dataplane alone, which is no service but the reactors that move packets.
  void SetDataPlaneServing(bool serving);

  // The same for kinsock.v1.VmService alone: a node that drains serves what it has and takes nothing new.
  void SetVmsServing(bool serving);

  // The stop has begun: nothing serves any more, says health, and calls that begin from here on are not waited for.
  // Before whatever ends calls that are under way.
  void Close();

  // How long calls that are under way may take to finish when the daemon stops, and their clients to read how they
  // ended and to close. Beyond: cut off.
  static constexpr std::chrono::milliseconds kGrace{2000};

  // Any thread but main, which must go on running, for calls are finished there. Returns when all connections are gone:
  //
  //     Close() ... calls of then have ended -> GOAWAY -> their clients close -> the others are hung up on
  //             '------------------------ `grace`, at most ---------------'
  //
  // The GOAWAY comes last, for with it gRPC asks whether the client is there: who answers has read all before it, and
  // is hung up on; an answer that comes too late would break the connection before it is read. Nobody else is waited
  // for: clients that are idle often do not look at their connections, and have nothing to lose.
  void Shutdown(std::chrono::milliseconds grace = kGrace);

 private:
  explicit ApiServer(AdmitHealth admit) : health_(std::move(admit)) {}

  CallsUnderWay calls_;
  HealthService health_;
  std::vector<std::unique_ptr<grpc::Service>> reflection_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> tls_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_API_SERVER_H_
